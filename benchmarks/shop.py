"""A simulated shop: real products, queries and judgments, with made-up prices and stocks that decide what people want.

    python benchmarks/shop.py ../shared/data/esci-us-small

Nobody bought anything here. Each product gets a price, of a heavy tail, and a stock, both drawn whatever its text says;
one in ten has no price. Of the products that judges call right for a query (grade 2 or 3), those in stock among
the cheapest third get grade 2, the others 1. Half of the queries are learned from and half are measured on, with the
fields and without. It shows what fields can do where they decide, and not how much they decide in any shop.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tribrid.types import JudgedQuery
from workbench import halves, indexed, judged, parser, table, train_and_evaluate

FIELDS = ["price:number:down", "stock:number:up"]
TEXT_CHARS = 400
RIGHT = 2
Shelf = Mapping[str, Mapping[str, Any]]


def fields(rng: random.Random) -> dict[str, Any]:
    """Of a product."""
    stock = 0 if rng.random() < 0.25 else int(rng.lognormvariate(2, 1.5))
    return {"stock": stock} if rng.random() < 0.1 else {"stock": stock, "price": round(rng.lognormvariate(3, 1.2), 2)}


def shelved(folder: Path, shop: Path) -> Shelf:
    """The collection with prices and stocks, as one that can be indexed; and what each product has."""
    rng, shelf = random.Random(7), {}
    shop.mkdir()
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines, (shop / "corpus.jsonl").open("w") as out:
        for row in map(json.loads, lines):
            shelf[row["_id"]] = fields(rng)
            out.write(json.dumps({**row, "text": row["text"][:TEXT_CHARS], "metadata": shelf[row["_id"]]}) + "\n")
    return shelf


def wanted(query: JudgedQuery, shelf: Shelf) -> JudgedQuery:
    """The same query as people of this shop would judge it."""
    right = [doc_id for doc_id, grade in query.judgments.items() if grade >= RIGHT]
    priced = sorted((doc_id for doc_id in right if "price" in shelf[doc_id]), key=lambda d: shelf[d]["price"])
    best = {doc_id for doc_id in priced[: -(-len(priced) // 3)] if shelf[doc_id]["stock"]}
    return JudgedQuery(query.query_id, query.text, {d: (d in right) + (d in best) for d in query.judgments})


def main() -> None:
    args = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        shop = Path(temporary) / f"{args.folder.name}-shop"
        shelf = shelved(args.folder, shop)
        taught, measured = halves([wanted(query, shelf) for query in judged(args.folder, "qrels.tsv")])
        with indexed(shop, args.cache) as tribrid:
            corpus = tribrid.corpus(shop.name)
            corpus.judgments.put(taught)
            corpus.eval_dataset.put(measured)
            corpus.patch_settings({"features": {"fields": FIELDS}})  # equal texts of other prices are not one product
            corpus.mine(sources=["judgments"])
            for named in ([], FIELDS):
                corpus.patch_settings({"features": {"fields": named}})
                reports = train_and_evaluate(tribrid, shop.name, args.seeds, args.set)
                what = ", ".join(named) or "no fields"
                print(f"## {shop.name}: {len(taught)} queries to learn from, {len(measured)} measured on; {what}\n")
                print(table(reports, args.seeds, "ndcg@10"), "\n")


if __name__ == "__main__":
    main()
