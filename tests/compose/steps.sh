# shellcheck shell=bash
# Steps: each is told when it begins, timed, and ends up in the table; a part ends with its first step that fails.

# Chooses the compose and the builder of a pair such as v2+buildkit. Fails where this machine lacks one.
choose() {
    local version lack=''
    case ${1%+*} in
    v2) compose='docker compose' version=$(docker compose version --short 2>/dev/null || true) ;;
    v1) compose=docker-compose version=$(docker-compose version --short 2>/dev/null || true) ;;
    *) echo "CELLS: $1 is no pair such as v2+buildkit" >&2 && exit 2 ;;
    esac
    case ${1#*+} in
    buildkit) docker buildx version >/dev/null 2>&1 || lack='docker buildx' ;;
    legacy) ;;
    *) echo "CELLS: $1 is no pair such as v2+buildkit" >&2 && exit 2 ;;
    esac
    [ -n "$version" ] || lack=$compose
    if [ -n "$lack" ]; then
        note "$1" - "$lack is there" 0 "FAILED: install $lack, or leave $1 out of CELLS"
        return 1
    fi
    case ${1#*+} in
    buildkit) export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1 ;;
    legacy) export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 ;;
    esac
    echo "== $1: $compose $version, engine $(docker version --format '{{.Server.Version}}')"
}

# Runs a part in a shell of its own, so that its first failing step is its last.
run_part() {
    echo "-- $cell, $1"
    log=$work/$cell-$1.log
    # Not in a condition: `set -e` would not count there.
    set +e
    (
        set -e
        "part_$1"
    )
    local code=$?
    set -e
    [ "$code" -eq 0 ] || show_failure
}

# step WORDS COMMAND..: what a step prints goes to the log.
step() {
    local words=$1 begun=$SECONDS
    shift
    printf '   %-64s ' "$words"
    printf '\n=== %s\n' "$words" >>"$log"
    # Not in a condition: `set -e` would not count there.
    set +e
    (
        set -e
        "$@"
    ) >>"$log" 2>&1
    local code=$?
    set -e
    if [ "$code" -eq 0 ]; then
        printf 'ok %5d s\n' $((SECONDS - begun))
        note "$cell" "${part:?}" "$words" $((SECONDS - begun)) ok
    else
        printf 'FAILED after %d s\n' $((SECONDS - begun))
        note "$cell" "$part" "$words" $((SECONDS - begun)) FAILED
        return 1
    fi
}

note() {
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" >>"$work/table"
}

show_failure() {
    echo "   the end of the step's log:"
    tail -n 40 "$log" | sed 's/^/   | /'
    local container
    for container in $(ours ps -aq); do
        echo "   the end of what $(docker inspect -f '{{.Name}} ({{.State.Status}})' "$container") said:"
        docker logs --tail 12 "$container" 2>&1 | sed 's/^/   | /'
    done
}

# Prints the table; the exit code of all.
summary() {
    echo
    column -t -s $'\t' -N pair,part,step,seconds,result "$work/table"
    local wrong
    wrong=$(grep -vc $'\tok$' "$work/table" || true)
    if [ "$wrong" -eq 0 ]; then
        echo "all $(wc -l <"$work/table") steps are well"
    else
        echo "$wrong of $(wc -l <"$work/table") steps failed" >&2
        return 1
    fi
}

# within SECONDS WORDS COMMAND..: waits until the command succeeds.
within() {
    local limit=$1 words=$2 begun=$SECONDS
    shift 2
    until "$@"; do
        [ $((SECONDS - begun)) -lt "$limit" ] || { echo "not so within $limit s: $words"; return 1; }
        sleep 1
    done
}

# Asks the engine for what belongs to this part: `ours ps -aq`.
ours() {
    local kind=$1
    shift
    for project in "$id-dev" "$id-prod" "$id-servers"; do
        docker "$kind" "$@" --filter "label=com.docker.compose.project=$project"
    done
}

containers() {
    ours ps -aq
}

# Takes down what is left, of whatever part.
take_down() {
    local left
    [ -n "${id-}" ] || return 0
    left=$(containers)
    # shellcheck disable=SC2086 # a list of words
    [ -z "$left" ] || docker rm -f --volumes $left >/dev/null
    for kind in volume network; do
        left=$(ours "$kind" ls -q)
        # shellcheck disable=SC2086 # a list of words
        [ -z "$left" ] || docker "$kind" rm $left >/dev/null
    done
    left=$(docker images --format '{{.Repository}}:{{.Tag}}' | grep ":$id\$" || true)
    # shellcheck disable=SC2086 # a list of words
    [ -z "$left" ] || docker rmi $left >/dev/null
}

# Whether nothing of this part is left but the images.
nothing_is_left() {
    local left
    left=$(containers; ours volume ls -q; ours network ls -q)
    [ -z "$left" ] || { echo "left: $left"; return 1; }
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}
