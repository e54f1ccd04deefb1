#!/usr/bin/env bash
# pyarrow 26.0.1's S3 file system writes an empty object when it deletes the only one of a folder.
#
# Seen: `delete_file("bucket/a/b")` sends DELETE for `a/b`, then PUT for an object `a/`, so that the folder is still
# there. The bucket is not as it was before, and a store that takes no key with a slash at its end (localbucket 1.2.1)
# answers that with 400: the call raises, though the file is gone. Who deletes for a person's sake cannot tell.
# Tribrid: objects are removed by obstore, which writes none (store/objects.py).
# tests/contract/test_object_store.py::test_a_deleted_corpus_leaves_nothing holds that nothing is left.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 localbucket==1.2.1
"$work/venv/bin/python" - "$work/data" <<'PY'
import sys
import threading
import urllib.request
from http.server import ThreadingHTTPServer
from pathlib import Path

import pyarrow.fs
from localbucket import S3Handler

requests = []


class Handler(S3Handler):
    def log_message(self, format, *args):
        requests.append(f"{self.command} {self.path}")


Handler.data_root = Path(sys.argv[1])
Handler.data_root.mkdir()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_port}"
urllib.request.urlopen(urllib.request.Request(f"http://{address}/bucket", method="PUT")).close()
options = {"access_key": "key", "secret_key": "secret", "region": "us-east-1", "scheme": "http"}
store = pyarrow.fs.S3FileSystem(endpoint_override=address, **options)
with store.open_output_stream("bucket/a/b") as stream:
    stream.write(b"content")
del requests[:]
try:
    store.delete_file("bucket/a/b")
    print("deleted")
except OSError as error:
    print("raised:", str(error)[:160])
print(requests)
assert not (Handler.data_root / "bucket/a/b").exists(), "the file itself is gone"
if "PUT /bucket/a/" not in requests:
    sys.exit("changed: nothing is written where a file is deleted")
PY
