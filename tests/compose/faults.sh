# shellcheck shell=bash
# What is asked of containers, and done to them.

# The container(s) of a service of a project.
of() {
    docker ps -aq --filter "label=com.docker.compose.project=$id-$1" --filter "label=com.docker.compose.service=$2" \
        --filter label=com.docker.compose.oneoff=False
}

name_of() {
    docker inspect -f '{{.Name}}' "$1"
}

are_healthy() {
    local container state
    for container in $(containers); do
        state=$(docker inspect -f '{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}' "$container") || return 1
        [ "$state" = 'running healthy' ] || return 1
    done
}

all_healthy() {
    within 240 "all containers are healthy" are_healthy || return 1
    docker ps --filter "name=$id" --format '{{.Names}} {{.Status}}'
}

# The text of a page that a service serves within its container, by bash's own sockets.
page() {
    docker exec "$1" bash -c "exec 3<>/dev/tcp/127.0.0.1/$2; printf 'GET $3 HTTP/1.0\r\n\r\n' >&3; cat <&3"
}

metric() {
    page "$1" "$2" /metrics | awk -v name="$3" '$1 ~ "^" name "({|$)" { sum += $2 } END { print sum + 0 }'
}

are_shared() {
    local container owned all=''
    for container in $(of "$1" "$2"); do
        owned=$(metric "$container" 9102 isitup_partitions_owned)
        all="$all $owned"
    done
    echo "partitions:$all"
    [ "$all" = ' 2 2 2' ]
}

# three_share PROJECT SERVICE: six partitions over three consumers.
three_share() {
    within 120 "each of three consumers has two partitions" are_shared "$1" "$2"
}

has_restarted() {
    [ "$(docker inspect -f '{{.State.Status}} {{.State.StartedAt}}' "$1")" != "running $2" ] &&
        [ "$(docker inspect -f '{{.State.Status}}' "$1")" = running ]
}

# Ends the first process of a container from outside, as a crash would, so that the engine restarts it by its policy. An engine
# that runs elsewhere takes that for an order of ours: then we start it again.
crash() {
    local process since
    process=$(docker inspect -f '{{.State.Pid}}' "$1")
    since=$(docker inspect -f '{{.State.StartedAt}}' "$1")
    if grep -qs "$(docker inspect -f '{{.Id}}' "$1")" "/proc/$process/cgroup" && kill -9 "$process" 2>/dev/null; then
        echo "$(name_of "$1"): process killed"
    else
        echo "$(name_of "$1"): killed by the engine, and started"
        docker kill "$1" && docker start "$1"
    fi
    within 120 "$(name_of "$1") runs again" has_restarted "$1" "$since"
}

# Where the numbers of the database stand: the last event of each producer, and how many are missing.
query() {
    docker exec "$(of "$1" postgres)" psql --username isitup --dbname isitup --tuples-only --no-align --command "$2"
}

# audit PROJECT-OF-DATABASE CONTAINER-OF-CONSUMER: to be called when the producer has ended. All that it published is stored, its
# last word included, and `audit` finds each number once.
audit() {
    local states
    states="SELECT string_agg(state, ',') FROM (SELECT DISTINCT ON (producer_id) state FROM isitup.producer_event
        WHERE type = 'producer' ORDER BY producer_id, seq DESC) last"
    has_ended() { [ "$(query "$1" "$states")" = stopping ]; }
    within 120 "the producer's last word is stored" has_ended "$1"
    is_proved() { docker exec "$1" isitup-consumer audit --config /etc/isitup/config.yml; }
    within 60 "audit exits with 0" is_proved "$2"
    docker exec "$2" isitup-consumer audit --json --config /etc/isitup/config.yml
    query "$1" "SELECT count(*) || ' results, ' || count(DISTINCT site) || ' sites' FROM isitup.check_result"
    [ "$(query "$1" 'SELECT count(*) > 100 FROM isitup.check_result')" = t ]
}
