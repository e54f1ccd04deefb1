#!/usr/bin/env bash
# httpx 0.28.1: `params`, even an empty dictionary, takes the place of the query that the URL has; and a path is put behind
# the query of a `base_url`.
#
# Seen: get("/x?a=1") asks for /x?a=1, get("/x?a=1", params={}) for /x, get("/x?a=1", params={"b": 2}) for /x?b=2. So does a
# client made with params of its own, for each of its requests. With base_url "http://host/p?key=1", get("/x") asks for
# "/p?key=1/x". No warning: a filter that was asked for is not applied, and the answer looks right. (requests adds them.)
# Tribrid: tribrid-client puts the two together (calls.py, `addressed`), so that call("GET", "/reranker/status?corpus_id=a",
# params=...) asks for what both say, and refuses a base_url with a query. tests/contract/api/test_api_python_client.py
# holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1
"$work/venv/bin/python" - <<'PY'
import sys

import httpx

echo = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.url)))
client = httpx.Client(transport=echo, base_url="http://host")
asked = [client.get("/x?a=1", params=params).text for params in (None, {}, {"b": "2"})]
asked.append(httpx.Client(transport=echo, params={"b": "2"}).get("http://host/x?a=1").text)
asked.append(httpx.Client(transport=echo, base_url="http://host/p?key=1").get("/x").text)
print(*asked, sep="\n")
expected = ["/x?a=1", "/x", "/x?b=2", "/x?b=2", "/p?key=1/x"]
sys.exit("changed" if asked != [f"http://host{path}" for path in expected] else 0)
PY
