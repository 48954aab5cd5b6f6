#!/usr/bin/env bash
# Starts the demo, a Prometheus with the shipped rules and an Alertmanager, drives mixed load, and stops all at Ctrl-C.
# FAULT=redis|database|invalidate|starve: makes that fault, prints which alerts fire when and which sections of
# docs/runbooks.md to read, and stops all. FASTER=N: with a fault, all durations of the rules are divided by N (10).
# FILMS: films to invent, 20,000 or whatever is there unless set; LOAD_SECONDS: how long to drive load; the service's
# addresses are those of its settings; PROMETHEUS_PORT, ALERTMANAGER_PORT: where to look for a free port.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROGRAM=${PROGRAM:-target/release/cinegraph}
readonly FAULT=${FAULT:-} CLIENTS=4
readonly FASTER=${FASTER:-$([[ -z $FAULT ]] && echo 1 || echo 10)}
# With a fault, load lasts until the end.
readonly LOAD_SECONDS=$([[ -z $FAULT ]] && echo "${LOAD_SECONDS:-60}" || echo 86400)
readonly PUBLIC=${CINEGRAPH_HTTP_ADDR:-127.0.0.1:8080} ADMIN=${CINEGRAPH_ADMIN_ADDR:-127.0.0.1:9464}
# Scores of 20,000 films take seconds, those of a million minutes.
readonly START_SECONDS=600

fail() {
    printf 'observe: %s\n' "$@" >&2
    exit 1
}

case $FAULT in
'') programs=(prometheus prometheus-alertmanager curl python3) ;;
redis) programs=(prometheus promtool prometheus-alertmanager amtool curl python3 redis-server) ;;
database | invalidate | starve) programs=(prometheus promtool prometheus-alertmanager amtool curl python3) ;;
*) fail "FAULT=$FAULT is none of redis, database, invalidate, starve" ;;
esac
for program in "${programs[@]}"; do
    command -v "$program" >/dev/null || fail "$program is missing: scripts/install.sh observe"
done
[[ -x $PROGRAM ]] || fail "$PROGRAM is missing: make observe builds it"

listens() {
    (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null
}

# The port, or the next one that nobody listens on.
free_port() {
    local port=$1
    while listens "127.0.0.1:$port"; do port=$((port + 1)); done
    echo "$port"
}

for address in "$PUBLIC" "$ADMIN"; do
    ! listens "$address" || fail "somebody listens on $address already; set CINEGRAPH_HTTP_ADDR and CINEGRAPH_ADMIN_ADDR"
done
PROMETHEUS=127.0.0.1:$(free_port "${PROMETHEUS_PORT:-9090}")
ALERTMANAGER=127.0.0.1:$(free_port "${ALERTMANAGER_PORT:-9093}")

work=$(mktemp -d)
pids=()
# Processes that a fault has suspended: they must go on before they can end.
suspended=()

resume() {
    ((${#suspended[@]} == 0)) || kill -CONT "${suspended[@]}" 2>/dev/null || true
    suspended=()
}

stop() {
    trap '' INT TERM
    echo 'observe: stopping' >&2
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    resume
    # Without the shell's word about each that has ended.
    { wait; } 2>/dev/null
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 0' INT TERM

# In a process group of its own, so that Ctrl-C reaches it through `stop`, once.
set -m
start() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    pids+=($!)
    started=$!
}

# wait_for NAME URL SECONDS, while the process started last lives.
wait_for() {
    local until=$((SECONDS + $3))
    until curl --silent --fail --output /dev/null --max-time 2 "$2"; do
        kill -0 "${pids[-1]}" 2>/dev/null || { tail -n 20 "$work/$1.log" >&2 && fail "$1 ended"; }
        ((SECONDS < until)) || { tail -n 20 "$work/$1.log" >&2 && fail "$1 is not ready after $3 s"; }
        sleep 0.5
    done
}

scripts/generate-monitoring.py --rules "$work" --faster "$FASTER"
cat >"$work/prometheus.yml" <<END
global:
  scrape_interval: $((FASTER == 1 ? 5 : 1))s
  scrape_timeout: 1s
  evaluation_interval: $((30000 / FASTER))ms
rule_files: [recording-rules.yml, alert-rules.yml]
alerting:
  alertmanagers:
    - static_configs:
        - targets: [$ALERTMANAGER]
scrape_configs:
  - job_name: cinegraph
    static_configs:
      - targets: [$ADMIN]
END

ask() {
    curl --silent --output /dev/null --max-time 15 --header 'content-type: application/json' \
        --data "{\"query\":\"$1\"}" "http://$PUBLIC/graphql" || true
}

# Most requests ask what others have asked; some bring weights or decades of their own; a few are the client's mistake.
client() {
    local until=$((SECONDS + LOAD_SECONDS)) page='nodes { rank score movie { title genres { name } } }'
    while ((SECONDS < until)); do
        case $((RANDOM % 20)) in
        0) ask "{ predictions(decade: $((1920 + RANDOM % 11 * 10))) { $page } }" ;;
        1 | 2)
            local five=popularOpinion:$RANDOM,criticalAcclaim:$RANDOM,industryRecognition:$RANDOM
            ask "{ predictions(weights: {$five,culturalImpact:$RANDOM,peopleQuality:1}, first: 5) { $page } }"
            ;;
        3) ask '{ validation { overall { accuracy } } }' ;;
        4) ask '{ profiles { name } lists { key } genres { name } }' ;;
        5) ask '{ predictions(decade: 1995) { totalCount } }' ;;
        6) ask '{ nothing }' ;;
        *) ask "{ predictions { $page } }" ;;
        esac
    done
}

# Pages of many sizes, each cached by itself: a mass invalidation lets all of them miss.
pages() {
    local decade first
    for first in {1..40}; do
        for decade in {1930..2020..10}; do
            ask "{ predictions(decade: $decade, first: $first) { nodes { rank score } } }"
        done
    done
}

if [[ $FAULT == redis ]]; then
    port=$(free_port 6379)
    start redis redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work"
    redis=$started
    export CINEGRAPH_REDIS_URL=redis://127.0.0.1:$port/
fi
echo 'observe: starting the service' >&2
start service "$PROGRAM" demo ${FILMS:+--films "$FILMS"}
service=$started
wait_for service "http://$PUBLIC/health/ready" "$START_SECONDS"
if [[ -n $FAULT ]]; then
    # Before Prometheus looks, or the averages of the past would contain it.
    echo 'observe: filling the caches' >&2
    pages
fi
start alertmanager prometheus-alertmanager --config.file=config/alertmanager.yml --storage.path="$work/alertmanager" \
    --web.listen-address="$ALERTMANAGER" --cluster.listen-address=
wait_for alertmanager "http://$ALERTMANAGER/-/ready" 30
start prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" \
    --web.listen-address="$PROMETHEUS"
wait_for prometheus "http://$PROMETHEUS/-/ready" 30

cat <<END
service       http://$PUBLIC/graphiql
metrics       http://$ADMIN/metrics
Prometheus    http://$PROMETHEUS/alerts
Alertmanager  http://$ALERTMANAGER
logs          $work
END

clients=()
drive() {
    local i
    for ((i = 0; i < CLIENTS; i++)); do
        client &
        clients+=($!)
    done
    pids+=("${clients[@]}")
}

if [[ -z $FAULT ]]; then
    echo "observe: driving load for $LOAD_SECONDS s" >&2
    drive
    wait "${clients[@]}"
    echo 'observe: done; the addresses stay until Ctrl-C' >&2
    wait
    exit
fi

# How long a fault may take to fire its alert, at this pace: ten minutes, and what starting and polling take.
readonly PATIENCE=$((720 / FASTER + 30))

# The backends too: a suspended postmaster alone accepts nothing, and its children go on.
suspend_database() {
    local postmaster
    postmaster=$(pgrep -P "$service" -x postgres) || fail "the service has no PostgreSQL of its own; unset CINEGRAPH_DATABASE_URL"
    mapfile -t suspended < <(echo "$postmaster" && pgrep -P "$postmaster")
    kill -STOP "${suspended[@]}"
}

# Half of the time it may not run.
starve_service() {
    suspended=("$service")
    while kill -STOP "$service" && sleep 0.4 && kill -CONT "$service" && sleep 0.4; do :; done
}

make_fault() {
    case $FAULT in
    redis) expected=CinegraphCacheL2Down && kill "$redis" ;;
    database) expected=CinegraphDatabaseDown && suspend_database ;;
    invalidate)
        expected=CinegraphCacheMissSpike
        "$PROGRAM" invalidate --all >"$work/invalidate.log" 2>&1 || fail "$(<"$work/invalidate.log")"
        pages &
        pids+=($!)
        ;;
    starve)
        expected=CinegraphRuntimeStarved
        suspended=("$service")
        starve_service &
        pids+=($!)
        ;;
    esac
}

firing() {
    promtool query instant "http://$PROMETHEUS" 'ALERTS{alertstate="firing"}' |
        sed -n 's/^ALERTS{.*alertname="\([^"]*\)".*/\1/p' | sort -u
}

echo 'observe: waiting for the averages of the past that alerts compare with' >&2
drive
sleep $((FASTER == 1 ? 690 : 690 / FASTER + 5))

echo "observe: fault: $FAULT$( ((FASTER == 1)) || echo "; all durations are divided by $FASTER, FASTER=1 keeps them")" >&2
declare -A seen=()
for alert in $(firing); do
    seen[$alert]=0
    echo "observe: $alert fires already" >&2
done
since=$SECONDS
make_fault
# A while longer than the first alert, for those that follow from it.
until=$((SECONDS + PATIENCE))
while ((SECONDS < until)); do
    for alert in $(firing); do
        [[ -z ${seen[$alert]:-} ]] || continue
        seen[$alert]=$((SECONDS - since))
        printf '%5s s  %-32s docs/runbooks.md#%s\n' "${seen[$alert]}" "$alert" "${alert,,}"
        [[ $alert != "$expected" ]] || until=$((SECONDS + 120 / FASTER + 5))
    done
    sleep 1
done
silenced=$(amtool alert query --inhibited --alertmanager.url="http://$ALERTMANAGER" --output=simple |
    awk 'NR > 1 { print $1 }' | sort -u | paste -sd ' ')
[[ -z $silenced ]] || echo "observe: silenced by another alert: $silenced" >&2
[[ -n ${seen[$expected]:-} ]] || fail "$expected did not fire within $PATIENCE s"
echo "observe: read the section $expected in docs/runbooks.md first" >&2
