#!/usr/bin/env bash
# DuckDB 2.0.1: json_valid takes NaN, Infinity and a comma at the end, and of a name that comes twice the first is read.
#
# Seen: json_valid is true for {"a": NaN}, {"a": -Infinity}, {"a": 1,} and {"a": [1,]}, none of which is JSON (RFC 8259).
# Of {"a": 1, "a": 2} json_extract reads 1, where Python, JavaScript and PostgreSQL read 2.
# Tribrid: the import of logs lets DuckDB read only lines in which none of this can be, and Python all others, which says why
# it takes none of these (logs/plain.py). tests/unit/test_logs_plain.py holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$work/venv/bin/python" - <<'PY'
import sys

import duckdb

seen = []
for text in ('{"a": NaN}', '{"a": -Infinity}', '{"a": 1,}', '{"a": [1,]}', '{"a": 1} x'):
    [valid] = duckdb.execute("SELECT json_valid(?)", [text]).fetchone()
    print(text, "->", valid)
    seen.append(valid)
[first] = duckdb.execute("SELECT json_extract(?, '$.a')", ['{"a": 1, "a": 2}']).fetchone()
print("the name that comes twice ->", first)
sys.exit("changed" if (seen, first) != ([True, True, True, True, False], "1") else 0)
PY
