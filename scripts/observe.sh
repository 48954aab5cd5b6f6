#!/usr/bin/env bash
# Starts the demo, a Prometheus with the shipped rules and an Alertmanager, drives mixed load, and stops all at Ctrl-C.
# FILMS: films to invent, 20,000 or whatever is there unless set; LOAD_SECONDS: how long to drive load; the service's
# addresses are those of its settings; PROMETHEUS_PORT, ALERTMANAGER_PORT: where to look for a free port.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROGRAM=${PROGRAM:-target/release/cinegraph}
readonly LOAD_SECONDS=${LOAD_SECONDS:-60} CLIENTS=4
readonly PUBLIC=${CINEGRAPH_HTTP_ADDR:-127.0.0.1:8080} ADMIN=${CINEGRAPH_ADMIN_ADDR:-127.0.0.1:9464}
# Scores of 20,000 films take seconds, those of a million minutes.
readonly START_SECONDS=600

fail() {
    printf 'observe: %s\n' "$@" >&2
    exit 1
}

for program in prometheus prometheus-alertmanager curl; do
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

stop() {
    trap '' INT TERM
    echo 'observe: stopping' >&2
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
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

cat >"$work/prometheus.yml" <<END
global:
  scrape_interval: 5s
  evaluation_interval: 30s
rule_files:
  - $PWD/alerts/recording-rules.yml
  - $PWD/alerts/alert-rules.yml
alerting:
  alertmanagers:
    - static_configs:
        - targets: [$ALERTMANAGER]
scrape_configs:
  - job_name: cinegraph
    static_configs:
      - targets: [$ADMIN]
END
printf 'route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n' >"$work/alertmanager.yml"

echo 'observe: starting the service' >&2
start service "$PROGRAM" demo ${FILMS:+--films "$FILMS"}
wait_for service "http://$PUBLIC/health/ready" "$START_SECONDS"
start alertmanager prometheus-alertmanager --config.file="$work/alertmanager.yml" --storage.path="$work/alertmanager" \
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

echo "observe: driving load for $LOAD_SECONDS s" >&2
clients=()
for ((i = 0; i < CLIENTS; i++)); do
    client &
    clients+=($!)
done
pids+=("${clients[@]}")
wait "${clients[@]}"
echo 'observe: done; the addresses stay until Ctrl-C' >&2
wait
