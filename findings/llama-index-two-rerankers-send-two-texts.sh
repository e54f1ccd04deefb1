#!/usr/bin/env bash
# llama-index-core 0.14.25: of the same node, llama-index-postprocessor-cohere-rerank 0.10.0 sends the metadata and the text,
# llama-index-postprocessor-tei-rerank 0.6.0 the text alone.
#
# Seen: for a node with the metadata file_path and page_label, which LlamaIndex's own readers set, Cohere's reranker is sent
# "file_path: handbook.pdf", "page_label: 7", an empty line, and the text; TEI's gets the text. So the ranking is of paths
# and page numbers too, and a server takes the two for two documents. Neither says so.
# Tribrid: its own package sends the text alone, with the node's id, and keeps what it adds to the metadata out of what
# models read (packages/llama-index-postprocessor-tribrid-rerank); the page on reranking says what to set for Cohere's.
# tests/contract/api/test_api_adapters.py holds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-core==0.14.25 cohere==5.21.1 \
    llama-index-postprocessor-cohere-rerank==0.10.0 llama-index-postprocessor-tei-rerank==0.6.0
env -u HTTP_PROXY -u HTTPS_PROXY -u http_proxy -u https_proxy -u ALL_PROXY -u all_proxy "$work/venv/bin/python" - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

sent = []


class Reranker(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent.append((body.get("documents") or body["texts"])[0])
        rows = [{"index": 0, "score": 0.5, "relevance_score": 0.5}]
        answer = json.dumps(rows if "texts" in body else {"id": "1", "results": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Reranker)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
node = TextNode(text="30 days of leave.", metadata={"file_path": "handbook.pdf", "page_label": "7"})
for reranker in (CohereRerank(api_key="any", base_url=url), TextEmbeddingInference(base_url=url)):
    reranker.postprocess_nodes([NodeWithScore(node=node, score=0.1)], query_str="days off")
    print(f"{type(reranker).__name__}: {sent[-1]!r}")
server.shutdown()
expected = ["file_path: handbook.pdf\npage_label: 7\n\n30 days of leave.", "30 days of leave."]
sys.exit("changed" if sent != expected else 0)
PY
