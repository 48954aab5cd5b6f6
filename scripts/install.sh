#!/usr/bin/env bash
# Installs what building and running need and this machine lacks; with the argument `test`, `bench` or `observe`, also
# what those need. Says nothing when nothing is missing.
set -euo pipefail

readonly RUST_OLDEST=1.94
readonly POSTGRES_OLDEST=15

fail() {
    printf 'install: %s\n' "$@" >&2
    exit 1
}

has_postgres() {
    local postgres version
    for postgres in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
        /opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres \
        "$(pg_config --bindir 2>/dev/null)/postgres" "$(command -v postgres)"; do
        [[ -x $postgres ]] || continue
        version=$("$postgres" --version) # postgres (PostgreSQL) 15.13 …
        version=${version#*) }
        [[ ${version%%[^0-9]*} -ge $POSTGRES_OLDEST ]] && return
    done
    return 1
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

check_rust() {
    command -v cargo >/dev/null || fail "Rust $RUST_OLDEST or newer is missing: see https://rustup.rs"
    local version
    version=$(cargo --version | cut -d ' ' -f 2)
    [[ $(printf '%s\n' "$RUST_OLDEST" "$version" | sort -V | head -n 1) == "$RUST_OLDEST" ]] ||
        fail "cargo is $version, Rust $RUST_OLDEST or newer is needed: rustup update stable"
}

# Debian's packages of servers make a cluster, and start what they bring, unless told not to. We need the programs only.
install_packages() {
    local conf=/etc/postgresql-common/createcluster.d/cinegraph.conf policy=/usr/sbin/policy-rc.d server
    as_root apt-get update -qq || return
    # shellcheck disable=SC2064  # The names as they are now: what is there already stays.
    if [[ -e $policy ]]; then
        trap "as_root rm -f $conf" EXIT
    else
        trap "as_root rm -f $conf $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy" || return
    fi
    if [[ " $* " == *" postgresql "* ]]; then
        local candidate
        candidate=$(apt-cache policy postgresql | sed -n 's/ *Candidate: \([0-9]*\).*/\1/p')
        [[ ${candidate:-0} -ge $POSTGRES_OLDEST ]] ||
            fail "this system's packages have PostgreSQL ${candidate:-(none)}, $POSTGRES_OLDEST or newer is needed" \
                "add https://apt.postgresql.org and start again"
        as_root mkdir -p "${conf%/*}" || return
        echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null || return
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "$@" </dev/null >&2 || return
    [[ -d /run/systemd/system ]] || return 0
    for server in redis-server haproxy prometheus prometheus-alertmanager; do
        [[ " $* " != *" $server "* ]] || as_root systemctl disable --quiet "$server" || return
    done
}

check_rust

missing=()
has_postgres || missing+=(postgresql)
command -v cc >/dev/null || missing+=(build-essential)
command -v make >/dev/null || missing+=(make)
if [[ ${1:-} == test ]]; then
    PATH=$PATH:/usr/sbin command -v haproxy >/dev/null || missing+=(haproxy)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v chromium >/dev/null || missing+=(chromium)
    PATH=$PATH:/usr/sbin:/sbin command -v ip >/dev/null || missing+=(iproute2)
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
fi
if [[ ${1:-} == test || ${1:-} == observe ]]; then
    command -v promtool >/dev/null || missing+=(prometheus)
    command -v prometheus-alertmanager >/dev/null || missing+=(prometheus-alertmanager)
    command -v curl >/dev/null || missing+=(curl)
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v python3 >/dev/null || missing+=(python3)
    command -v pgrep >/dev/null || missing+=(procps)
fi
if [[ ${1:-} == bench ]]; then
    command -v wrk >/dev/null || missing+=(wrk)
fi
[[ ${#missing[@]} == 0 ]] && exit

command -v apt-get >/dev/null ||
    fail "please install: ${missing[*]} (PostgreSQL $POSTGRES_OLDEST or newer with its server programs)"
[[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null ||
    fail "please install as root, then start again: apt-get install ${missing[*]}"

echo "install: installing ${missing[*]}" >&2
install_packages "${missing[@]}" || fail "apt-get could not install ${missing[*]}"
has_postgres || fail "apt-get installed no PostgreSQL server $POSTGRES_OLDEST or newer"
