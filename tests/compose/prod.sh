# shellcheck shell=bash
# docker-compose.prod.yml by `make run-prod`, against servers that are elsewhere and speak TLS only.

prod_make() {
    make --no-print-directory WAY=engine COMPOSE="$compose" PROD_PROJECT="$id-prod" CONFIG="$work/config.yml" PROFILE="$PROFILE" \
        PACKAGES='-p isitup-producer -p isitup-consumer -p isitup-dev' TAGS="$id" READY_WITHIN=400 "$@"
}

prod_compose() {
    ISITUP_CONFIG_FILE=$work/config.yml $compose -p "$id-prod" -f docker-compose.prod.yml "$@"
}

servers() {
    $compose -p "$id-servers" -f tests/compose/servers.yml "$@"
}

# Where a container finds this machine. A container is asked, as the network itself does not tell before the engine's second start.
gateway() {
    local container
    container=$(docker run --detach --rm postgres:17 sleep 60)
    docker inspect --format '{{.NetworkSettings.Networks.bridge.Gateway}}' "$container"
    docker rm --force "$container" >/dev/null
}

part_prod() {
    part=prod
    GATEWAY=$(gateway)
    KAFKA_PORT=$(free_port) KAFKA_PASSWORD_PORT=$(free_port) POSTGRES_PORT=$(free_port) CERTIFICATES=$work/servers-$cell
    export GATEWAY KAFKA_PORT KAFKA_PASSWORD_PORT POSTGRES_PORT CERTIFICATES ISITUP_VERSION=$id
    export ISITUP__KAFKA__BROKERS=$GATEWAY:$KAFKA_PORT
    export ISITUP__POSTGRES__URL=postgres://isitup_ingest@$GATEWAY:$POSTGRES_PORT/isitup
    export ISITUP_CERTIFICATES=$work/certificates-$cell ISITUP_POSTGRES_PASSWORD_FILE=$work/secrets-$cell/postgres
    export ISITUP_SITES=$work/sites-$cell
    prod_sites
    prod_config >"$work/config.yml"
    step "servers with TLS only: Kafka 4, PostgreSQL 17" prod_servers
    step "make run-prod without files says which, starts nothing" prod_lacks_files
    prod_credentials
    step "make run-prod with a setting that is not passed on says so" prod_lost_setting
    step "make setup-database prints what an administrator is to run" prod_make setup-database
    step "make setup-database by one who is no superuser, and again" prod_set_up
    step "make run-prod with a wrong password says so, starts nothing" prod_wrong_password
    step "make run-prod without the topic says so, starts nothing" prod_lacks_topic
    step "make run-prod checks, starts, and both become healthy" prod_make run-prod
    # How large they are is asked of those that people use, which are built for release.
    [ "$PROFILE" != release ] || small=', under 60 MB each'
    step "make image: three images, labelled${small-}" prod_images
    step "the image of both finds its service behind --init" prod_health
    step "the containers can do nothing but their work" prod_hardened
    step "round-trip" prod_round_trip
    step "a site that is added to a list is checked" prod_new_site
    step "make run-prod CONSUMERS=3: they share the partitions" prod_scale
    for service in kafka postgres isitup-producer isitup-consumer; do
        step "$service is killed, and all are healthy again" prod_crash "$service"
    done
    step "round-trip after that" prod_round_trip
    step "all stop, and start in the wrong order" prod_wrong_order
    step "round-trip after that" prod_round_trip
    export ISITUP__KAFKA__BROKERS=$GATEWAY:$KAFKA_PASSWORD_PORT ISITUP_KAFKA_PASSWORD_FILE=$work/secrets-$cell/kafka
    step "make run-prod with a wrong password for Kafka says so" prod_wrong_kafka_password
    step "make run-prod with a password for Kafka, not a certificate" prod_make run-prod
    step "round-trip after that" prod_round_trip
    step "the producer ends; audit: each number once" prod_audit
    step "down leaves nothing" prod_down
}

# config.prod.yml as it is, but for the sites: Kafka, often, one on the internet, and those of a list.
prod_config() {
    sed -e 's/interval: 30s/interval: 1s/' -e '/^domains:/,$d' config.prod.yml
    printf '%s\n' 'domains_file: sites/domains.txt' 'domains:' "  - tcp://$GATEWAY:$KAFKA_PORT" \
        "  - {url: 'https://example.com', interval: 30s}"
}

# Puts a new list in the place of the old one, as editors do: PostgreSQL, and whatever else is given.
prod_sites() {
    mkdir -p "$ISITUP_SITES" && chmod 755 "$ISITUP_SITES"
    printf '%s\n' '# of this test' "tcp://$GATEWAY:$POSTGRES_PORT" "$@" >"$ISITUP_SITES/new"
    chmod 644 "$ISITUP_SITES/new" && mv "$ISITUP_SITES/new" "$ISITUP_SITES/domains.txt"
}

# certificate NAME SUBJECT EXTENSION: signed by the authority in $CERTIFICATES.
certificate() {
    openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -subj "$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo "$3") -out "$1.cert"
}

prod_servers() {
    rm -rf "$CERTIFICATES" && mkdir -p "$CERTIFICATES"
    (
        cd "$CERTIFICATES"
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj '/CN=authority of this test' -days 2 -out ca.pem
        certificate kafka "/CN=kafka" "subjectAltName=IP:$GATEWAY"
        certificate postgres "/CN=postgres" "subjectAltName=IP:$GATEWAY"
        certificate service "/CN=isitup" "extendedKeyUsage=clientAuth"
        cat kafka.key kafka.cert >kafka.pem
        openssl rand -hex 16 >postgres.password
        printf '%s\n' 'local all all trust' 'hostssl all all all scram-sha-256' >pg_hba.conf
        chmod 755 . && chmod 644 ./*
        # PostgreSQL takes no key that others can read. Its user has another number here than there.
        docker run --rm --user 0 --entrypoint sh -v "$CERTIFICATES:/certificates" postgres:17 -c \
            'chown postgres /certificates/postgres.key && chmod 600 /certificates/postgres.key'
    )
    servers up -d
    all_healthy
}

# What a hosted service hands out, for user 10001 to read.
prod_credentials() {
    mkdir -p "$ISITUP_CERTIFICATES" "${ISITUP_POSTGRES_PASSWORD_FILE%/*}"
    cp "$CERTIFICATES/ca.pem" "$CERTIFICATES/service.cert" "$CERTIFICATES/service.key" "$ISITUP_CERTIFICATES/"
    chmod 755 "$ISITUP_CERTIFICATES" && chmod 644 "$ISITUP_CERTIFICATES"/*
    cp "$CERTIFICATES/postgres.password" "$ISITUP_POSTGRES_PASSWORD_FILE"
}

# is_refused WORDS..: make run-prod fails, says all of these words, and no container of the two services comes or goes.
is_refused() {
    local words said before
    before=$(of prod isitup-producer)$(of prod isitup-consumer)
    said=$(prod_make run-prod 2>&1) && { echo "$said"; echo "it went on"; return 1; }
    echo "$said"
    for words; do
        grep -qF -- "$words" <<<"$said" || { echo "not said: $words"; return 1; }
    done
    [ "$(of prod isitup-producer)$(of prod isitup-consumer)" = "$before" ]
}

prod_lacks_files() {
    is_refused "there is no folder $ISITUP_CERTIFICATES" "there is no file $ISITUP_POSTGRES_PASSWORD_FILE"
}

prod_lost_setting() {
    export ISITUP__LOG__LEVEL=debug
    is_refused "does not pass on ISITUP__LOG__LEVEL: "
}

# As with hosted servers: who administrates may make databases and roles, and is no superuser. From here on the superuser only
# looks.
prod_set_up() {
    local password
    password=$(openssl rand -hex 16)
    docker exec "$(of servers postgres)" psql --username isitup --dbname postgres --command \
        "CREATE ROLE administrator LOGIN CREATEDB CREATEROLE PASSWORD '$password'"
    export ISITUP_ADMIN_URL=postgres://administrator:$password@$GATEWAY:$POSTGRES_PORT/postgres
    prod_make setup-database
    prod_make setup-database
    local roles="SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles
        WHERE rolname LIKE 'isitup_%' AND rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole)"
    query servers "$roles"
    [ "$(query servers "$roles")" = 'isitup_ingest isitup_owner isitup_reader' ]
    [ "$(query servers "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'isitup'")" = isitup_owner ]
}

prod_wrong_password() {
    echo wrong >"$ISITUP_POSTGRES_PASSWORD_FILE"
    is_refused "password authentication failed" "nothing was started"
    cp "$CERTIFICATES/postgres.password" "$ISITUP_POSTGRES_PASSWORD_FILE"
}

prod_lacks_topic() {
    is_refused "kafka.create_topic.replication_factor 3" 'Kafka has no topic "isitup.checks" yet' "nothing was started"
    docker exec "$(of servers kafka)" /opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --create \
        --topic isitup.checks --partitions 6 --replication-factor 1 --config message.timestamp.type=LogAppendTime
}

prod_images() {
    prod_make image
    local base size image
    base=$(docker image inspect -f '{{.Size}}' debian:bookworm-slim)
    for image in isitup-producer isitup-consumer isitup; do
        size=$(docker image inspect -f '{{.Size}}' "$image:$id")
        docker image inspect -f '{{json .Config.Labels}} {{.Config.User}}' "$image:$id" | tee "$work/labels"
        for label in title description version revision source licenses base.name; do
            grep -q "\"org.opencontainers.image.$label\":\"[^\"]" "$work/labels" || { echo "no label $label"; return 1; }
        done
        grep -q ' 10001:10001$' "$work/labels"
        echo "$image: $(((size - base) / 1000000)) MB beyond the base"
        [ $((size - base)) -lt 60000000 ] || [ "$PROFILE" != release ]
    done
    docker run --rm "isitup:$id" producer --version
    docker run --rm "isitup:$id" consumer --version
}

# The first process of the container is the engine's own.
prod_health() {
    local container
    container=$(docker run -d --init --read-only --label "com.docker.compose.project=$id-prod" \
        --env ISITUP__KAFKA__BROKERS=localhost:9 --env ISITUP__DOMAINS=localhost "isitup:$id" producer run)
    within 60 "the producer in it is alive" docker exec "$container" isitup health
    docker rm -f --volumes "$container"
}

prod_hardened() {
    local container said
    for container in $(of prod isitup-producer) $(of prod isitup-consumer); do
        said=$(docker inspect -f '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}
            {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}} {{.Config.StopTimeout}} {{index .HostConfig.LogConfig.Config "max-size"}}' "$container")
        echo "$said"
        [ "$(xargs <<<"$said")" = '10001:10001 true [ALL] [no-new-privileges:true] 536870912 unless-stopped 15 20m' ]
        docker exec "$container" sh -c '! touch /here && ! touch /etc/isitup/certificates/here && grep -q "^CapEff:[[:space:]]*0*$" /proc/self/status'
    done
}

# By the image of the demo sites, which has both programs, from within the services' network.
prod_round_trip() {
    docker image inspect "isitup-dev:$id" >/dev/null 2>&1 ||
        docker build --build-arg PROFILE="$PROFILE" -f dev/Dockerfile -t "isitup-dev:$id" .
    docker run --rm --network "$id-prod_default" --env ISITUP__KAFKA__BROKERS --env ISITUP__POSTGRES__URL \
        -v "$work/config.yml:/etc/isitup/config.yml:ro" -v "$ISITUP_CERTIFICATES:/etc/isitup/certificates:ro" \
        -v "$ISITUP_SITES:/etc/isitup/sites:ro" -v "$ISITUP_POSTGRES_PASSWORD_FILE:/etc/isitup/secrets/postgres:ro" \
        -v "${ISITUP_KAFKA_PASSWORD_FILE:-$PWD/packaging/empty}:/etc/isitup/secrets/kafka:ro" \
        "isitup-dev:$id" round-trip --config /etc/isitup/config.yml --site "tcp://$GATEWAY:$KAFKA_PORT" \
        --producer-listen isitup-producer:9101
}

# The producer's own health, seen from its container.
prod_new_site() {
    local site=tcp://localhost:9101
    prod_sites "$site"
    is_checked() { [ "$(query servers "SELECT count(*) > 0 FROM isitup.check_result WHERE site = '$site'")" = t ]; }
    within 60 "$site has a result" is_checked
}

prod_scale() {
    prod_make run-prod CONSUMERS=3
    all_healthy
    three_share prod isitup-consumer
}

prod_crash() {
    local container
    for container in $(of prod "$1") $(of servers "$1"); do
        crash "$container"
    done
    all_healthy
}

prod_wrong_order() {
    prod_compose stop
    servers stop
    local container
    for container in $(of prod isitup-consumer) $(of prod isitup-producer) $(of servers postgres) $(of servers kafka); do
        docker start "$container"
        sleep 1
    done
    all_healthy
}

# The same set-up at a listener that asks for a name and a password. config.prod.yml is changed as its comments say.
prod_wrong_kafka_password() {
    local password
    password=$(openssl rand -hex 16)
    docker exec "$(of servers kafka)" /opt/kafka/bin/kafka-configs.sh --bootstrap-server localhost:9092 --alter \
        --entity-type users --entity-name isitup --add-config "SCRAM-SHA-512=[password=$password]"
    sed -i -e 's/^  # sasl: /  sasl: /' -e 's|, cert_file: [^,]*, key_file: [^}]*}|}|' "$work/config.yml"
    echo wrong >"$ISITUP_KAFKA_PASSWORD_FILE"
    is_refused "kafka.sasl.password" "nothing was started"
    echo "$password" >"$ISITUP_KAFKA_PASSWORD_FILE"
}

prod_audit() {
    prod_compose stop isitup-producer
    audit servers "$(of prod isitup-consumer | head -n 1)"
    [ "$(query servers "SELECT count(*) FROM pg_class WHERE relowner = 'isitup_ingest'::regrole")" = 0 ]
}

prod_down() {
    prod_compose down --volumes
    servers down --volumes
    nothing_is_left
}
