# shellcheck shell=bash
# docker-compose.dev.yml, by the targets that newcomers use.

dev_make() {
    make --no-print-directory WAY=engine COMPOSE="$compose" "$@"
}

dev_compose() {
    $compose -f docker-compose.dev.yml "$@"
}

part_dev() {
    part=dev
    export COMPOSE_PROJECT_NAME=$id-dev ISITUP_DEV_TAG=$id ISITUP_DEV_CONSUMER_PORT=0
    for port in ZOOKEEPER KAFKA POSTGRES SITES SITES_TLS PRODUCER; do
        export "ISITUP_DEV_${port}_PORT=$(free_port)"
    done
    step "make run-dev builds, starts, and all become healthy" dev_make run-dev READY_WITHIN=400
    step "make round-trip" dev_make round-trip
    step "three consumers share the partitions" dev_scale
    for service in zookeeper kafka postgres demo-network demo-sites isitup-producer-dev isitup-consumer-dev; do
        step "$service is killed, and all are healthy again" dev_crash "$service"
    done
    step "make round-trip after that" dev_make round-trip
    step "all stop, and start in the wrong order" dev_wrong_order
    step "make round-trip after that" dev_make round-trip
    step "make rebuild-dev" dev_make rebuild-dev
    step "the producer ends; audit: each number once" dev_audit
    step "make stop-dev DATA=delete leaves nothing" dev_down
}

dev_scale() {
    dev_compose up -d --no-deps --no-recreate --scale isitup-consumer-dev=3 isitup-consumer-dev
    all_healthy
    three_share dev isitup-consumer-dev
}

dev_crash() {
    local container
    for container in $(of dev "$1"); do
        crash "$container"
    done
    # The two that live in its network stay in the old one otherwise, as docker-compose.dev.yml says.
    [ "$1" != demo-network ] || dev_compose restart demo-sites isitup-producer-dev
    all_healthy
}

# Those that need others come before them. The container whose network others share is the engine's own condition.
dev_wrong_order() {
    dev_compose stop
    local service
    for service in isitup-consumer-dev demo-network isitup-producer-dev demo-sites kafka zookeeper postgres; do
        # shellcheck disable=SC2046 # a list of words
        docker start $(of dev "$service")
    done
    all_healthy
}

dev_audit() {
    dev_compose stop isitup-producer-dev
    audit dev "$(of dev isitup-consumer-dev | head -n 1)"
}

dev_down() {
    dev_make stop-dev DATA=delete
    nothing_is_left
}
