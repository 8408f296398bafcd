# With a Docker engine: everything runs in containers, see docker-compose.dev.yml and docker-compose.prod.yml.

ifndef COMPOSE
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
endif
DEV_COMPOSE := $(COMPOSE) -f docker-compose.dev.yml
# A project of its own, so that both can run beside each other.
PROD_COMPOSE := $(COMPOSE) -p isitup-prod -f docker-compose.prod.yml
DEV_SERVICES := isitup-producer-dev isitup-consumer-dev
IN_CONTAINER := /etc/isitup/config.yml

# How long the containers of a set-up may take to become healthy, in seconds.
READY_WITHIN ?= 180
VERSION := $(shell awk -F '"' '/^version = / { print $$2; exit }' Cargo.toml)
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
# Both services are compiled together, once for both images.
BUILD_ARGS := --build-arg PACKAGES='-p isitup-producer -p isitup-consumer' \
	--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)

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
	$(PROD_COMPOSE) build isitup-consumer
	$(PROD_COMPOSE) run --rm --no-deps $(NO_TERMINAL) isitup-consumer migrate --config $(IN_CONTAINER)
endif

run-prod:
	$(PROD_COMPOSE) build $(BUILD_ARGS)
	$(PROD_COMPOSE) up -d
	$(call wait,$(PROD_COMPOSE))
	@printf '%s\n' "" "Producer and consumer run." "  $(PROD_COMPOSE) logs -f    what they say" "  $(PROD_COMPOSE) down       ends them"

image:
	docker build $(BUILD_ARGS) -f producer/Dockerfile -t isitup-producer:$(VERSION) -t isitup-producer:latest .
	docker build $(BUILD_ARGS) -f consumer/Dockerfile -t isitup-consumer:$(VERSION) -t isitup-consumer:latest .

# What it builds stays in volumes, and apart from this machine's target/.
dev:
	docker build -f dev/tools.Dockerfile -t isitup-tools .
	docker run --rm -it --init -v "$(CURDIR):/work" -v isitup-tools-target:/target -v isitup-tools-cargo:/usr/local/cargo/registry isitup-tools
