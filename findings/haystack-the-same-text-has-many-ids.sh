#!/usr/bin/env bash
# haystack-ai 3.4.0: a document's own id is a hash of its text, its metadata and its embedding, so the same text has another
# id whenever one of these is another.
#
# Seen: Document(content="soup") has one id, with an embedding another, with a page number or the time of the crawl in its
# meta a third. Indexed again with a new crawl time, every document has a new id, and judgments or clicks that were kept
# under the old ones point to nothing.
# Tribrid: TribridRanker sends an id only if somebody gave it: a document whose id is that hash is known to Tribrid by its
# text, however it was read (packages/tribrid-haystack). tests/contract/api/test_api_adapters.py holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check haystack-ai==3.4.0
HAYSTACK_TELEMETRY_ENABLED=False "$work/venv/bin/python" - <<'PY'
import sys

from haystack import Document

forms = {
    "text": Document(content="soup"),
    "with an embedding": Document(content="soup", embedding=[0.1, 0.2]),
    "crawled on Monday": Document(content="soup", meta={"crawled": "2026-11-23"}),
    "crawled on Tuesday": Document(content="soup", meta={"crawled": "2026-11-24"}),
}
for name, document in forms.items():
    print(f"{document.id[:12]}  {name}")
again = Document(content="soup").id == forms["text"].id
sys.exit("changed" if len({document.id for document in forms.values()}) != 4 or not again else 0)
PY
