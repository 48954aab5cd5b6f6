#!/usr/bin/env bash
# Queries the API with curl: a POST, a cached GET, a persisted query, an error, and a subscription.
set -euo pipefail

url=${CINEGRAPH_URL:-http://127.0.0.1:8080}/graphql
# After 503 curl tries again when the seconds in the header Retry-After have passed.
curl=(curl --silent --show-error --fail-with-body --retry 5)
json='Content-Type: application/json'

echo '# A query'
"${curl[@]}" "$url" -H "$json" --data @- <<'JSON'
{ "query": "query ($decade: Int!) { predictions(decade: $decade, first: 3) { edges { node { rank movie { title year } } } } }",
  "variables": { "decade": 1990 } }
JSON

echo $'\n\n# By GET, and again with the ETag of the response: 304 without a body'
query='query={ predictions(decade: 1990, first: 3) { totalCount } }'
head=$(mktemp)
trap 'rm -f "$head"' EXIT
"${curl[@]}" --get "$url" --data-urlencode "$query" --dump-header "$head"
etag=$(sed -n 's/^etag: *\(.*\)\r$/\1/ip' "$head")
"${curl[@]}" --get "$url" --data-urlencode "$query" -H "If-None-Match: $etag" --write-out '\n%{http_code}\n'

echo $'\n# A persisted query: by its hash alone. If the service does not know it, once with its text'
text='{ predictions(decade: 1980, first: 3) { totalCount } }'
hash=$(printf %s "$text" | sha256sum | cut -d ' ' -f 1)
extensions="extensions={\"persistedQuery\":{\"version\":1,\"sha256Hash\":\"$hash\"}}"
persisted() { "${curl[@]}" --get "$url" --data-urlencode "$extensions" "$@"; }
response=$(persisted)
[[ $response != *PERSISTED_QUERY_NOT_FOUND* ]] || response=$(persisted --data-urlencode "query=$text")
echo "$response"

echo $'\n# An error: a code to act on, the argument, and a message to show'
"${curl[@]}" "$url" -H "$json" --data '{ "query": "{ predictions(first: 1000) { totalCount } }" }'

echo $'\n\n# A subscription: the current top, and then each change as it happens'
subscription='{ "query": "subscription { predictionUpdates(decade: 1990, top: 3, initial: true) { kind prediction { rank movie { title } } } }" }'
exec {stream}< <(exec "${curl[@]}" --no-buffer "$url" -H "$json" \
    -H 'Accept: multipart/mixed;subscriptionSpec=1.0' --data "$subscription")
# Ends without an error when the third update is there, and with one when the stream ends before.
for ((update = 0; update < 3; )); do
    read -r line <&"$stream"
    [[ $line != *'"payload"'* ]] || { echo "$line" && update=$((update + 1)); }
done
kill $!
