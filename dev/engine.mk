# With a Docker engine: everything runs in containers, see docker-compose.dev.yml and docker-compose.prod.yml.

ifndef COMPOSE
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
endif
DEV_COMPOSE := $(COMPOSE) -f docker-compose.dev.yml
# A project of its own, so that both can run beside each other.
PROD_PROJECT ?= isitup-prod
PROD_COMPOSE := ISITUP_CONFIG_FILE='$(abspath $(PROD_CONFIG))' $(COMPOSE) -p $(PROD_PROJECT) -f docker-compose.prod.yml
DEV_SERVICES := isitup-producer-dev isitup-consumer-dev
IN_CONTAINER := /etc/isitup/config.yml
# How many there are in production.
CONSUMERS ?= 1

# The password of Kafka lies where config.prod.yml looks for it, unless the environment or .env says otherwise. Compose cannot
# ask whether a file is there; dev/before-prod hears of it by the environment. In a folder that is closed to us it is taken to be
# there when the configuration names it.
ifeq ($(origin ISITUP_KAFKA_PASSWORD_FILE),undefined)
ifneq ($(shell [ -e secrets/kafka ] || { [ -d secrets ] && [ ! -x secrets ] && grep -q '^[^\#]*secrets/kafka' '$(PROD_CONFIG)'; } && echo yes),)
ifeq ($(shell grep -s '^[a-z ]*ISITUP_KAFKA_PASSWORD_FILE *=' .env),)
export ISITUP_KAFKA_PASSWORD_FILE := ./secrets/kafka
endif
endif
endif

# How long the containers of a set-up may take to become healthy, in seconds.
READY_WITHIN ?= 180
# The services are compiled together, once for all images. Base images can be given by their digests:
# make image BASE_IMAGE=debian:bookworm-slim@sha256:... RUST_IMAGE=rust:1.95-slim-bookworm@sha256:...
PACKAGES ?= -p isitup-producer -p isitup-consumer
PROFILE ?= release
# Where the sources are, without a password that may stand in it.
SOURCE := $(or $(shell git remote get-url origin 2>/dev/null | sed 's|//[^/@]*@|//|'),unknown)
REVISION := $(or $(shell git rev-parse HEAD 2>/dev/null),unknown)
BUILD_ARGS := --build-arg PACKAGES='$(PACKAGES)' --build-arg PROFILE=$(PROFILE) \
	$(foreach name,RUST_IMAGE BASE_IMAGE,$(if $($(name)),--build-arg $(name)=$($(name)))) \
	--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg SOURCE='$(SOURCE)'
TAGS ?= $(VERSION) latest
tags = $(TAGS:%=-t $(1):%)

# A terminal only where there is one: it brings Ctrl-C to the command and its table the right width.
NO_TERMINAL := $$([ -t 0 ] && [ -t 1 ] || echo -T)

# $(call wait,COMPOSE,SERVICES): waits until they, or all, are healthy and tells of each. docker-compose 1 has no `up --wait`.
define wait
@seen=' '; start=$$(date +%s); \
while :; do \
	awaited=''; now=$$(($$(date +%s) - start)); \
	for id in $$($(1) ps -a -q $(2)); do \
		set -- $$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.Name}} {{with .State.Health}}{{.Status}}{{else}}unchecked{{end}} {{.State.Status}} {{.RestartCount}}' "$$id" 2>/dev/null); \
		[ "$${3:-unchecked}" != unchecked ] || continue; \
		if [ "$$3 $$4" = 'healthy running' ]; then \
			case $$seen in *" $$2 "*) ;; *) \
				seen="$$seen$$2 "; printf '  %-28s healthy after %3d s\n' "$${2#/}" "$$now" ;; \
			esac; \
		else \
			awaited="$$awaited $$1 ($$4, $$3, started again $$5 times)"; \
		fi; \
	done; \
	[ -n "$$awaited" ] || break; \
	if [ "$$now" -ge $(READY_WITHIN) ]; then \
		echo "not healthy after $(READY_WITHIN) s:$$awaited. See \`$(1) logs\`" >&2; exit 1; \
	fi; \
	sleep 1; \
done; \
[ "$$seen" != ' ' ] || { echo "nothing runs: see \`$(1) ps -a\`" >&2; exit 1; }
endef

# In three steps, so that what takes long shows what it does.
run-dev:
	@echo "A Docker engine answers: everything runs in containers."
	$(DEV_COMPOSE) build
	$(DEV_COMPOSE) up -d
	$(call wait,$(DEV_COMPOSE))
	@printf '%s\n' "" "isitup runs: producer and consumer, on Kafka, ZooKeeper and PostgreSQL of their own." "" \
	  "  make peek-data     the latest checks, as they lie in PostgreSQL" \
	  "  make round-trip    one check followed to Kafka and into PostgreSQL" \
	  "  make rebuild-dev   builds and restarts producer and consumer after a change" \
	  "  make stop-dev      ends everything and keeps the data" "" \
	  "Demo sites: http://127.0.0.1:28090. Logs: $(DEV_COMPOSE) logs -f"

# Made anew even where only config.dev.yml has changed: an editor may have put a new file in the place of the mounted one.
# The demo sites' image is built with them, as round trips use its copy of the two; all that takes long is shared.
rebuild-dev:
	$(DEV_COMPOSE) build
	$(DEV_COMPOSE) up -d --no-deps --force-recreate $(DEV_SERVICES)
	$(call wait,$(DEV_COMPOSE),$(DEV_SERVICES))

# Orphans are containers of `run`, which would keep the network in use.
stop-dev:
	$(DEV_COMPOSE) down --remove-orphans $(if $(filter delete,$(DATA)),--volumes)

peek-data:
	@$(DEV_COMPOSE) exec $(NO_TERMINAL) isitup-consumer-dev isitup-consumer peek --config $(IN_CONTAINER) $(ARGS)

round-trip:
	@$(DEV_COMPOSE) run --rm --no-deps $(NO_TERMINAL) round-trip $(if $(INTERVAL),--interval $(INTERVAL))

# `migrate` waits for the server by itself.
setup-database:
ifeq ($(CONFIG),config.dev.yml)
	$(DEV_COMPOSE) build isitup-consumer-dev
	$(DEV_COMPOSE) up -d postgres
	$(DEV_COMPOSE) run --rm --no-deps $(NO_TERMINAL) isitup-consumer-dev migrate --config $(IN_CONTAINER)
else
	@sh dev/before-prod $(PROD_CONFIG)
	@$(PROD_COMPOSE) build $(BUILD_ARGS) isitup-consumer >&2
	@$(PROD_COMPOSE) run --rm --no-deps $(NO_TERMINAL) $(if $(ISITUP_ADMIN_URL),-e ISITUP_ADMIN_URL) isitup-consumer \
		setup-database $(if $(ISITUP_ADMIN_URL),--apply) --config $(IN_CONTAINER) $(ARGS)
endif

# What is missing is told before any container of the two starts: by ourselves where it is a file that the engine would only
# stumble over, by the programs themselves for all the rest. Made anew each time: a changed configuration alone would not do that.
run-prod:
	@sh dev/before-prod $(PROD_CONFIG)
	$(PROD_COMPOSE) build $(BUILD_ARGS)
	@failed=''; \
	for service in producer consumer; do \
		echo "$$service: looking at what it needs"; \
		$(PROD_COMPOSE) run --rm --no-deps $(NO_TERMINAL) isitup-$$service check-config --connect --config $(IN_CONTAINER) </dev/null || \
			failed="$$failed $$service"; \
	done; \
	[ -z "$$failed" ] || { echo "nothing was started: see above what the$$failed lacks, mend it, and call this again" >&2; exit 1; }
	$(PROD_COMPOSE) up -d --force-recreate --scale isitup-consumer=$(CONSUMERS)
	$(call wait,$(PROD_COMPOSE))
	@printf '%s\n' "" "Producer and consumer run." "  $(PROD_COMPOSE) logs -f    what they say" "  $(PROD_COMPOSE) down       ends them"

image:
	docker build $(BUILD_ARGS) -f producer/Dockerfile $(call tags,isitup-producer) .
	docker build $(BUILD_ARGS) -f consumer/Dockerfile $(call tags,isitup-consumer) .
	docker build $(BUILD_ARGS) -f packaging/Dockerfile $(call tags,isitup) .

# What it builds stays in volumes, and apart from this machine's target/.
dev:
	docker build -f dev/tools.Dockerfile -t isitup-tools .
	docker run --rm -it --init -v "$(CURDIR):/work" -v isitup-tools-target:/target -v isitup-tools-cargo:/usr/local/cargo/registry isitup-tools
