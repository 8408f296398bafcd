# With a Docker engine: everything runs in containers, see docker-compose.dev.yml and docker-compose.prod.yml.

ifndef COMPOSE
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
endif
DEV_COMPOSE := $(COMPOSE) -f docker-compose.dev.yml
PROD_COMPOSE := $(COMPOSE) -f docker-compose.prod.yml
DEV_IMAGE ?= rust:1-slim-bookworm

run-dev:
	$(DEV_COMPOSE) up -d --build
	@echo "isitup runs: \`make peek-data\` shows the latest checks, \`make stop-dev\` ends it, \`$(DEV_COMPOSE) logs -f\` its logs."

rebuild-dev:
	$(DEV_COMPOSE) up -d --build --no-deps isitup-producer-dev isitup-consumer-dev

stop-dev:
	$(DEV_COMPOSE) down $(if $(filter delete,$(DATA)),--volumes)

peek-data:
	@$(DEV_COMPOSE) exec -T isitup-consumer-dev isitup-consumer peek $(ARGS)

round-trip:
	@$(DEV_COMPOSE) exec -T demo-sites isitup-dev round-trip $(if $(INTERVAL),--interval $(INTERVAL))

setup-database:
	$(DEV_COMPOSE) run --rm isitup-consumer-dev migrate

run-prod:
	$(PROD_COMPOSE) up -d --build

image:
	docker build -f producer/Dockerfile -t isitup-producer .
	docker build -f consumer/Dockerfile -t isitup-consumer .

dev:
	docker run --rm -it -v "$(CURDIR):/work" -w /work $(DEV_IMAGE) sh -c 'sh dev/deps && exec bash'
