#!/usr/bin/env python3
"""Pages through the candidates of a decade: decade.py [DECADE] [PROFILE]. Needs the standard library only."""
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

URL = os.environ.get("CINEGRAPH_URL", "http://127.0.0.1:8080") + "/graphql"
ATTEMPTS = 5

PREDICTIONS = """
  query ($decade: Int!, $profile: String, $after: String) {
    predictions(decade: $decade, profile: $profile, first: 100, after: $after) {
      edges { node { rank score movie { title year } } }
      pageInfo { hasNextPage endCursor }
    }
  }
"""


class ApiError(Exception):
    """An error of the API. `code` is what to act on; the text can be shown."""

    def __init__(self, error: dict) -> None:
        super().__init__(error["message"])
        self.code = error["extensions"]["code"]
        # Only for SERVICE_UNAVAILABLE.
        self.retry_after = error["extensions"].get("retryAfter")


def send(query: str, variables: dict) -> dict:
    """Sends one request; returns its data. A response with another status than 200 has errors in JSON too."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            result = json.load(response)
    except urllib.error.HTTPError as response:
        result = json.load(response)
    if result.get("errors"):
        raise ApiError(result["errors"][0])
    return result["data"]


def run(query: str, variables: dict) -> dict:
    """Sends a request, again after `retryAfter` if the service is unavailable."""
    for _ in range(ATTEMPTS - 1):
        try:
            return send(query, variables)
        except ApiError as error:
            if error.retry_after is None:
                raise
            time.sleep(error.retry_after)
    return send(query, variables)


def candidates(decade: int, profile: str | None) -> Iterator[dict]:
    """All candidates of a decade, best first."""
    variables = {"decade": decade, "profile": profile, "after": None}
    while True:
        page = run(PREDICTIONS, variables)["predictions"]
        yield from (edge["node"] for edge in page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            return
        variables["after"] = page["pageInfo"]["endCursor"]


def main(decade: str = "1990", profile: str | None = None) -> int:
    try:
        for node in candidates(int(decade), profile):
            print(f"{node['rank']}. {node['movie']['title']} ({node['movie']['year']}), {node['score']:.1f}")
    except ApiError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    except (OSError, json.JSONDecodeError) as error:
        print(f"{URL}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
