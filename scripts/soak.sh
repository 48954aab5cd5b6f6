#!/usr/bin/env bash
# Runs the service for SOAK_SECONDS (an hour) under the mixed load of SOAK_RATE questions a second (300), with a Redis of
# its own, and lets something fail every FAULT_EVERY seconds (300) for FAULT_SECONDS (20); benches/service/soak.rs says what
# must hold. Needs an empty private PostgreSQL, which `make soak` brings. FILMS: how many (20000). PROGRAM, DRIVER: the
# service and the load, where they are built already.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROGRAM=${PROGRAM:-target/release/cinegraph} DRIVER=${DRIVER:-cargo bench --bench service}
readonly FILMS=${FILMS:-20000} FAULT_EVERY=${FAULT_EVERY:-300} FAULT_SECONDS=${FAULT_SECONDS:-20}
export SOAK_SECONDS=${SOAK_SECONDS:-3600} SOAK_RATE=${SOAK_RATE:-300}
readonly START_SECONDS=60

fail() {
    printf 'soak: %s\n' "$@" >&2
    exit 1
}

listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The port, or the next one that nobody listens on.
free_port() {
    local port=$1
    while listens "$port"; do port=$((port + 1)); done
    echo "$port"
}

# wait_for WHAT COMMAND…, until it succeeds.
wait_for() {
    local what=$1 until=$((SECONDS + START_SECONDS))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < until)) || fail "$what is not there; see $work"
        sleep 0.2
    done
}

[[ -n ${DATABASE_URL:-} ]] || fail 'DATABASE_URL is not set: use make soak'
[[ -x $PROGRAM ]] || fail "$PROGRAM is missing: make soak builds it"
((FAULT_EVERY > FAULT_SECONDS)) || fail 'FAULT_EVERY is no longer than FAULT_SECONDS'

sql() {
    psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$1"
}

data=$(sql 'SHOW data_directory')
bin=$(sql "SELECT setting FROM pg_config WHERE name = 'BINDIR'")

postgres_pids() {
    local postmaster
    postmaster=$(head -n 1 "$data/postmaster.pid") || return 0
    echo "$postmaster" && pgrep -P "$postmaster"
}

restart_postgres() {
    local owner as_owner=()
    owner=$(stat -c %U "$data")
    [[ $owner == "$(id -un)" ]] || as_owner=(runuser -u "$owner" --)
    (cd / && "${as_owner[@]}" "$bin/pg_ctl" restart -s -w -m fast -D "$data" -l "$data/../soak.log")
}

work=$(mktemp -d)
redis_port=$(free_port 16379)
SOAK_ADDRESS=127.0.0.1:$(free_port 18080)
SOAK_ADMIN=127.0.0.1:$(free_port 19464)
export SOAK_ADDRESS SOAK_ADMIN
service='' faults=''

start_redis() {
    redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --maxmemory 256mb --maxmemory-policy allkeys-lru \
        >>"$work/redis.log" 2>&1 </dev/null &
    echo $! >"$work/redis.pid"
    disown
    wait_for Redis redis-cli -p "$redis_port" ping
}

redis_pid() {
    cat "$work/redis.pid" 2>/dev/null
}

stop() {
    local status=$?
    trap '' INT TERM
    [[ -z $faults ]] || kill "$faults" 2>/dev/null || true
    # Who is frozen hears nothing else.
    # shellcheck disable=SC2046  # Each is a number.
    kill -CONT $(redis_pid) $(postgres_pids) 2>/dev/null || true
    # shellcheck disable=SC2046
    kill $service $(redis_pid) 2>/dev/null || true
    [[ -z $service ]] || wait "$service" || true
    if ((status == 0)); then rm -rf "$work"; else echo "soak: the logs are in $work" >&2; fi
}
trap stop EXIT
trap 'exit 130' INT TERM

again() {
    sql "SELECT cinegraph.raise_version('scores', '', decade, true) FROM generate_series(1920, 2020, 10) AS decade" \
        >/dev/null
}

# What fails, in turn. Scores are taken away with the table, so that it is asked for.
readonly FAULTS=(
    redis_frozen redis_killed postgres_frozen postgres_restarted notify_cut table_away postgres_crashed table_locked
)
redis_frozen() {
    kill -STOP "$(redis_pid)" && sleep "$FAULT_SECONDS" && kill -CONT "$(redis_pid)"
}
redis_killed() {
    kill -KILL "$(redis_pid)" && sleep "$FAULT_SECONDS" && start_redis
}
postgres_frozen() {
    local frozen
    mapfile -t frozen < <(postgres_pids)
    kill -STOP "${frozen[@]}"
    sleep "$FAULT_SECONDS"
    kill -CONT "${frozen[@]}"
}
postgres_restarted() {
    restart_postgres
}
notify_cut() {
    sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'" >/dev/null
}
table_away() {
    sql 'ALTER TABLE cinegraph.movie_discovery_scores RENAME TO elsewhere'
    again
    sleep "$FAULT_SECONDS"
    sql 'ALTER TABLE cinegraph.elsewhere RENAME TO movie_discovery_scores'
}
# One process that dies takes all connections with it.
postgres_crashed() {
    kill -KILL "$(sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'cinegraph' LIMIT 1")"
}
table_locked() {
    again
    sql "BEGIN; LOCK TABLE cinegraph.movie_discovery_scores; SELECT pg_sleep($FAULT_SECONDS); COMMIT" >/dev/null
}

fail_in_turn() {
    local began=$SECONDS turn=0 fault
    # None in the end: what is counted has to settle.
    while (((turn + 2) * FAULT_EVERY <= SOAK_SECONDS)); do
        fault=${FAULTS[turn++ % ${#FAULTS[@]}]}
        sleep $((began + turn * FAULT_EVERY - SECONDS))
        echo "$(date +%T) $fault"
        "$fault" || echo "$(date +%T) $fault did not work"
        echo "$(date +%T) $fault is over"
    done
}

export CINEGRAPH_DATABASE_URL=$DATABASE_URL CINEGRAPH_REDIS_URL=redis://127.0.0.1:$redis_port/
"$PROGRAM" migrate >"$work/migrate.log" 2>&1
"$PROGRAM" generate --films "$FILMS" >"$work/generate.log" 2>&1
start_redis
"$PROGRAM" serve --http-addr "$SOAK_ADDRESS" --admin-addr "$SOAK_ADMIN" >"$work/service.log" 2>&1 </dev/null &
service=$!
wait_for 'the service' listens "${SOAK_ADDRESS##*:}"

fail_in_turn &
faults=$!
status=0
PARTS=soak $DRIVER || status=$?
kill "$faults" 2>/dev/null || true
faults=''

echo 'log lines above INFO, by what they say:'
sed -n 's/.*"level":"\(WARN\|ERROR\)".*"message":"\([^"]*\)".*/\1 \2/p' "$work/service.log" | sort | uniq -c | sort -rn
kill -0 "$service" || fail 'the service ended'
exit "$status"
