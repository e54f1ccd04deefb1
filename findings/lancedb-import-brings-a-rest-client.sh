#!/usr/bin/env bash
# lancedb 0.40.0, opened on a local folder, imports a generated REST client of which it uses nothing there.
#
# Seen: `import lancedb` loads 160 and more modules of lance_namespace_urllib3_client (and urllib3 with them), more than
# of lancedb itself, though no namespace server is named. On two cores that is about half of the import's processor time
# (0.7 of 1.3 s). A command that reads a few rows would pay for it each time.
# Tribrid: the same tables are opened with pylance, which loads none of it (docs/decisions/0021-lance.md), and it is
# imported by the functions that open a table, never by a module. tests/contract/cli/test_cli_verbs.py holds what a
# command may import.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lancedb==0.40.0 lance-namespace==0.13.0 \
    lance-namespace-urllib3-client==0.13.0
"$work/venv/bin/python" - "$work/data" <<'PY'
import sys
from collections import Counter

import lancedb

table = lancedb.connect(sys.argv[1]).create_table("t", [{"id": 1, "vector": [0.0, 1.0]}])
assert table.count_rows() == 1, "a local table works"
loaded = Counter(name.split(".")[0] for name in sys.modules)
client, own = loaded["lance_namespace_urllib3_client"], loaded["lancedb"]
print(f"lancedb {lancedb.__version__}: {client} modules of the REST client, {own} of lancedb")
if client < 100 or client <= own:
    sys.exit("changed: the REST client is no longer loaded for a local folder")
PY
