"""Real clicks, split by time: learn from the first 80 %, be measured on the last 20 %.

    python benchmarks/real_clicks.py ../shared/data/bestbuy-xbox

The log holds query, document and time and nothing of what was shown, so impressions are reconstructed. Queries of the
later part that were asked before, or nearly, teach nothing: mining leaves out what the eval dataset asks.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tribrid.corpus.lexical import normalise
from tribrid.types import JudgedQuery
from workbench import indexed, parser, table, train_and_evaluate

Click = tuple[str, str, str, str]
"""Time, query, document, user."""


def read(path: Path, known: frozenset[str]) -> list[Click]:
    """Clicks on documents of the collection, oldest first."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        clicks = [(row["click_time"], row["query"].strip(), row["sku"], row["user"]) for row in rows]
    return sorted(click for click in clicks if click[1] and click[2] in known)


def as_judged(clicks: Sequence[Click]) -> list[JudgedQuery]:
    """Each query with the documents that were clicked for it; a grade is binary, as MRR reads it."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    texts: dict[str, str] = {}
    for _, query, doc_id, _ in clicks:
        texts.setdefault(normalise(query), query)
        counts[normalise(query)][doc_id] += 1
    return [JudgedQuery(f"q{n}", texts[key], dict.fromkeys(counts[key], 1)) for n, key in enumerate(counts)]


def log_of(clicks: Sequence[Click]) -> bytes:
    """The clicks as a log to import."""
    lines = [
        json.dumps({"query": query, "doc_id": doc_id, "timestamp": time, "client_id": user}) + "\n"
        for time, query, doc_id, user in clicks
    ]
    return "".join(lines).encode()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clicks", default="raw/train.csv")
    arguments.add_argument("--max-pairs", type=int, default=500)
    arguments.add_argument("--popularity", action="store_true", help="with features.clicks")
    args = arguments.parse_args()
    corpus = args.folder.name
    documents = (args.folder / "corpus.jsonl").read_text("utf-8").splitlines()
    clicks = read(args.folder / args.clicks, frozenset(json.loads(line)["_id"] for line in documents if line))
    cut = len(clicks) * 4 // 5
    evaluation = as_judged(clicks[cut:])
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).patch_settings({"features": {"clicks": args.popularity}})
        imported = tribrid.corpus(corpus).logs.add([log_of(clicks[:cut])], "clicks")
        tribrid.corpus(corpus).eval_dataset.put(evaluation)
        mined = tribrid.corpus(corpus).mine(max_pairs=args.max_pairs, sources=["logs"])
        reports = train_and_evaluate(tribrid, corpus, args.seeds, args.set)
    kept = f"{mined.pairs} pairs, {mined.remembered} remembered"
    print(f"## {corpus}: {cut} clicks to learn from, {len(evaluation)} later queries, {kept}\n")
    print(f"imported: {imported.impressions} impressions; rejected in mining: {mined.rejected}\n")
    for measure in ("mrr@10", "ndcg@10"):
        print(table(reports, args.seeds, measure), "\n")


if __name__ == "__main__":
    main()
