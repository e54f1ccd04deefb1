#!/usr/bin/env bash
# lancedb 0.40.0, full-text index with its defaults (stem and remove_stop_words on): a word whose stem is a stop word is
# found by no query, and so is a word of 40 bytes or more.
#
# Seen: stop words are looked for after stemming, so "UPS" (stem "up"), "canned" ("can"), "owned" ("own") and "willing"
# ("will") find nothing in documents that have them; nor does a SHA-1 of 40 digits (max_token_length is 40). No warning.
# Tribrid: documents and queries are cut to terms by its own analyser, which looks for stop words before it stems and
# keeps terms of any hash's length; Lance gets finished terms (corpus/terms.py, retrieval/lance.py).
# tests/unit/test_corpus_terms.py holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lancedb==0.40.0
"$work/venv/bin/python" - "$work/data" <<'PY'
import hashlib
import sys

import lancedb
from lancedb.index import FTS

digest = hashlib.sha1(b"x").hexdigest()
words = ["UPS", "canned", "owned", "willing", digest]
texts = [f"the {word} thing number {number}" for number, word in enumerate(words)]
table = lancedb.connect(sys.argv[1]).create_table("t", [{"text": text} for text in [*texts, "parcel service"]])
table.create_index("text", config=FTS())
found = {word: len(table.search(word, query_type="fts").limit(5).to_list()) for word in [*words, "parcel"]}
print(f"lancedb {lancedb.__version__}: documents found by word: {found}")
if found.pop("parcel") != 1 or any(found.values()):
    sys.exit("changed: words that no query found are found")
PY
