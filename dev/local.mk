# Without a Docker engine: isitup-dev starts real Kafka, ZooKeeper and PostgreSQL as processes of this machine, in .dev/.
# Always the whole workspace is built: parts of it would share fewer features, and be compiled again for each set.

run-dev: deps
	@echo "No Docker engine answers: everything runs as processes of this machine."
	$(CARGO) build $(LOCKED) --workspace
	@$(DEV) up --config $(CONFIG)

rebuild-dev:
	$(CARGO) build $(LOCKED) --workspace
	@$(DEV) restart-services

stop-dev:
	@if [ -x $(DEV) ]; then $(DEV) down $(if $(filter delete,$(DATA)),--data); else echo "isitup does not run."; fi

peek-data: built
	@$(DEV) exec -- isitup-consumer peek --config $(CONFIG) $(ARGS)

round-trip: built
	@$(DEV) round-trip --config $(CONFIG) $(if $(INTERVAL),--interval $(INTERVAL))

# The set-up's own environment belongs to its own configuration only. Elsewhere an administrator makes the database, with
# its roles; where none is given, the SQL for one is printed.
setup-database: deps
	@$(CARGO) build $(LOCKED) --workspace
ifeq ($(CONFIG),config.dev.yml)
	@$(DEV) exec -- isitup-consumer migrate --config $(CONFIG)
else
	@$(DEBUG)/isitup-consumer setup-database $(if $(ISITUP_ADMIN_URL),--apply) --config $(CONFIG) $(ARGS)
endif

run-prod: deps
	$(CARGO) build --release $(LOCKED) --workspace
	@failed=''; \
	for service in producer consumer; do \
		echo "$$service: looking at what it needs"; \
		$(TARGET)/release/isitup-$$service check-config --connect --config $(PROD_CONFIG) || failed="$$failed $$service"; \
	done; \
	[ -z "$$failed" ] || { echo "nothing was started: see above what the$$failed lacks, mend it, and call this again" >&2; exit 1; }
	$(TARGET)/release/isitup-dev services --config $(PROD_CONFIG)

.PHONY: built
built:
	@[ -x $(DEV) ] || { echo "nothing is built yet: run \`make run-dev\` first" >&2; exit 1; }

image dev:
	@echo "\`make $@\` needs a Docker engine, and none answers: start one, or see \`docker info\`" >&2; exit 1
