# `make` alone prints what there is. The same commands work with a Docker engine (dev/engine.mk) and without one
# (dev/local.mk: real Kafka, ZooKeeper and PostgreSQL as processes of this machine). WAY=local or WAY=engine chooses by hand.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

CONFIG ?= config.dev.yml
# What production runs with: CONFIG, where it is given.
PROD_CONFIG := $(if $(filter config.dev.yml,$(CONFIG)),config.prod.yml,$(CONFIG))
CARGO ?= cargo
VERSION := $(shell awk -F '"' '/^version = / { print $$2; exit }' Cargo.toml)
TARGET := $(or $(CARGO_TARGET_DIR),target)
DEBUG := $(TARGET)/debug
DEV := $(DEBUG)/isitup-dev

# The services with points at which tests let them die, beside the ordinary ones. With --workspace, so that what they
# depend on is built but once.
FAILPOINTS := --features isitup-producer/failpoints,isitup-consumer/failpoints \
	--bin isitup-producer-failpoints --bin isitup-consumer-failpoints

# Passed to cargo; CI says --locked.
LOCKED ?=

# Where an engine answers quickly it is used. Only the targets that differ ask.
BOTH_WAYS := run-dev rebuild-dev stop-dev peek-data round-trip run-prod setup-database image dev
ifeq ($(filter $(BOTH_WAYS),$(MAKECMDGOALS)),)
WAY := local
endif
ifndef WAY
WAY := $(shell timeout 5 docker info >/dev/null 2>&1 && echo engine || echo local)
endif

include dev/$(WAY).mk

.PHONY: help small deps run-dev rebuild-dev stop-dev peek-data round-trip run-prod setup-database \
	fmt lint test test-clients test-compose test-faults test-protections check doc deny machete bench fuzz image dist sbom dev

help: ## print this
	@echo "isitup: make TARGET"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile
	@echo; echo "A newcomer wants: make run-dev, then make peek-data"

deps: ## install what this machine lacks, or name it
	@sh dev/deps

# Running it: the recipes are in dev/engine.mk and dev/local.mk.
run-dev: ## start everything on this machine: servers, demo sites, producer, consumer
rebuild-dev: ## rebuild and restart only isitup-producer-dev and isitup-consumer-dev
stop-dev: ## end everything; the data stays (DATA=delete deletes it)
peek-data: ## show the latest checks in PostgreSQL (ARGS="--follow" follows)
round-trip: ## follow one check to Kafka and into PostgreSQL (INTERVAL=15 goes on)
setup-database: ## make or update the tables; with CONFIG=config.prod.yml the whole database, as ISITUP_ADMIN_URL, else print its SQL
run-prod: ## look whether all is there, then run the two services with config.prod.yml against servers elsewhere (CONSUMERS=3)
image: ## build the container images: producer, consumer, and one for both
dev: ## a shell in a container with all tools

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## formatting and clippy, warnings being errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets $(LOCKED) -- -D warnings

test: deps ## all tests, on servers of their own that vanish afterwards
	$(CARGO) build --workspace $(LOCKED)
	$(CARGO) build --workspace $(FAILPOINTS) $(LOCKED)
	$(CARGO) test --workspace $(LOCKED)

# The storm draws its faults from a seed, which it prints; SEED= gives it back.
RUNS ?= 1
MINUTES ?= 10
SEED ?=
test-faults: deps ## the long tests under faults, then a storm of all of them (RUNS=5 MINUTES=10 SEED=7 ONLY=storm)
	$(CARGO) build --workspace $(LOCKED)
	$(CARGO) build --workspace $(FAILPOINTS) $(LOCKED)
	$(if $(ONLY),,$(CARGO) test -p isitup-producer --test spool_damage $(LOCKED) -- --ignored)
	$(if $(ONLY),,$(CARGO) test -p isitup-tests --test e2e $(LOCKED) -- --ignored --skip storm::)
	@for run in $$(seq $(RUNS)); do \
		echo "storm $$run of $(RUNS), $(MINUTES) minutes"; \
		env $(if $(SEED),ISITUP_TEST_SEED=$(SEED)) ISITUP_TEST_MINUTES=$(MINUTES) \
			$(CARGO) test -p isitup-tests --test e2e $(LOCKED) -- --ignored --nocapture storm:: || exit 1; \
	done

test-compose: ## on a Docker engine: the very Dockerfiles and compose files, dev and prod, with faults (CELLS=v1+legacy chooses)
	@tests/compose/run

# kafka-rust is what `make test` runs on; tests/e2e/harness/lane.rs says what each of the others is. What follows a plus is how
# the services reach PostgreSQL (secured.rs).
LANES ?= librdkafka librdkafka-4 mtls+verify-full scram
LEFT_OUT = tests/not-by-librdkafka
test-clients: deps ## the end-to-end tests on other Kafkas, by another client (LANES="librdkafka-4 mtls+verify-full" chooses)
	$(CARGO) build --workspace $(LOCKED)
	$(CARGO) build --workspace $(FAILPOINTS) $(LOCKED)
	@echo "left out on these lanes:"; cat $(LEFT_OUT)
	@for lane in $(LANES); do \
		echo "lane $$lane"; \
		env ISITUP_TEST_KAFKA=$${lane%+*} $$(echo "$$lane" | sed -n 's/.*+/ISITUP_TEST_POSTGRES=/p') \
			$(CARGO) test -p isitup-tests --test e2e $(LOCKED) -- \
			$$(sed -n 's/^[a-z]/--skip &/p' $(LEFT_OUT)) || exit 1; \
	done

test-protections: deps ## take out each protection in turn and see the tests named for it fail (ONLY="02 03-locks" chooses)
	tests/protections/run $(ONLY)

# Needs a nightly compiler and cargo-fuzz; the targets stand in fuzz/, outside of the workspace.
fuzz: ## throw random input at checker, decoder and configuration (TARGETS="response config decode dns" MINUTES=10)
	@for target in $(or $(TARGETS),response config decode dns); do \
		mkdir -p fuzz/corpus/$$target && cp producer/tests/findings/$$target/* fuzz/corpus/$$target/ && \
		$(CARGO) +nightly fuzz run $$target -- -dict=fuzz/$$target.dict -timeout=20 -rss_limit_mb=2048 \
			-print_final_stats=1 -max_total_time=$$(($(or $(MINUTES),10) * 60)) || exit 1; \
	done

check: lint small doc deny machete ## lint, the build without librdkafka, docs, licences and advisories, unused dependencies

# The build without librdkafka: linted, and its configuration tested.
small:
	$(CARGO) clippy -p isitup-producer -p isitup-consumer --no-default-features $(LOCKED) -- -D warnings
	$(CARGO) test -p isitup-shared --no-default-features --lib $(LOCKED) -- --quiet config

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps $(LOCKED)

# cargo-deny and cargo-machete take minutes to build, so they are used where they are and never missed in silence.
deny:
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
		echo "SKIPPED: licences, bans and advisories: cargo-deny is not here (cargo install --locked cargo-deny)"; \
	elif timeout 60 $(CARGO) deny fetch db >/dev/null 2>&1; then \
		$(CARGO) deny --all-features check; \
	else \
		echo "SKIPPED: advisories: their database cannot be reached from here"; \
		$(CARGO) deny --all-features check bans licenses sources; \
	fi

machete:
	@if $(CARGO) machete --version >/dev/null 2>&1; then \
		$(CARGO) machete; \
	else \
		echo "SKIPPED: unused dependencies: cargo-machete is not here (cargo install --locked cargo-machete)"; \
	fi

dist: ## a tarball with both programs, man pages, completions, examples and systemd units (PROFILE=dev is built sooner)
	@CARGO="$(CARGO)" TARGET="$(TARGET)" LOCKED="$(LOCKED)" packaging/dist $(VERSION) $(or $(PROFILE),release)

sbom: ## what the two programs are made of, as CycloneDX files in target/sbom
	@CARGO="$(CARGO)" TARGET="$(TARGET)" packaging/sbom

bench: deps ## measure: CPU per check and per row, memory, latency, reading 50,000 sites (ARGS="http store --json" chooses)
	$(CARGO) build --release --workspace $(LOCKED)
	$(CARGO) bench -p isitup-tests --bench pipeline $(LOCKED) -- $(ARGS)
