#!/usr/bin/env bash
# Fetches GraphiQL and React by `npm pack` into a directory (default: target/share/cinegraph/graphiql) and checks them
# against assets/graphiql/SHA256SUMS, as the service does again. Does nothing where they are there already.
# To move to another version, change the versions below, run with --update, and look at the explorer.
set -euo pipefail

readonly GRAPHIQL=3.9.0 # the last version with a build for browsers (UMD); 4 and later need a bundler
readonly REACT=18.3.1   # likewise the last one

update=
[[ ${1:-} != --update ]] || { update=1; shift; }
directory=${1:-}
[[ -z $directory || $directory == /* ]] || directory=$PWD/$directory
cd "$(dirname "$0")/.."
directory=${directory:-$PWD/target/share/cinegraph/graphiql}
sums=$PWD/assets/graphiql/SHA256SUMS

if [[ ! $update && -d $directory ]] && (cd "$directory" && sha256sum --check --quiet --status "$sums"); then
    exit
fi
command -v npm >/dev/null || {
    echo "graphiql: npm is missing; without it there is no API explorer at /graphiql" >&2
    exit 1
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
unpack() { # NAME VERSION FILE…: takes files out of a package, and its licence
    local name=$1 version=$2 archive file
    shift 2
    archive=$(cd "$temporary" && npm pack --silent "$name@$version") || return
    for file in "$@"; do
        tar -xzf "$temporary/$archive" -O "package/$file" >"$temporary/files/${file##*/}" || return
    done
    tar -xzf "$temporary/$archive" -O package/LICENSE >"$temporary/files/LICENSE-$name"
}
mkdir "$temporary/files"
unpack graphiql "$GRAPHIQL" graphiql.min.js graphiql.min.css
unpack react "$REACT" umd/react.production.min.js
unpack react-dom "$REACT" umd/react-dom.production.min.js

cd "$temporary/files"
[[ ! $update ]] || sha256sum graphiql.min.js graphiql.min.css react.production.min.js react-dom.production.min.js >"$sums"
sha256sum --check --quiet "$sums"
mkdir -p "$directory"
cp "$temporary"/files/* "$directory"
echo "graphiql: GraphiQL $GRAPHIQL is in $directory" >&2
