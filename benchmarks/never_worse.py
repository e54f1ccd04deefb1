"""Is what training makes ever worse than what it started from?

    python benchmarks/never_worse.py ../shared/data/{scifact,nfcorpus,cranfield} --results runs.jsonl --cache cache

Draws 30, 100 and 500 labelled queries by each seed, mines, trains and evaluates as the three calls do with 500 pairs
and default settings, and prints how often the model ranks its eval queries worse than its start by more than chance.
Where a collection has no training judgments, half of its queries teaches; a log of clicks teaches by the clicks of the
queries drawn. Each result is a line of `--results`; those that are there are not made again, so it goes on where it
was ended, and without a folder it prints the table of what is there.

What a search finds for a query, the tokens of passages, and the features of a query's candidates are the same in every
run on one collection. They are read once and kept; all else is the product's own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from real_clicks import Click, as_judged, log_of, read
from tribrid.app import Tribrid
from tribrid.corpus.lexical import normalise
from tribrid.encoders.token_cache import KeptTokens
from tribrid.loop import evaluate, mine, train
from tribrid.loop.params import EvaluateParams, MineParams
from tribrid.retrieval.search import Retriever
from tribrid.scoring import features, scorer
from tribrid.training import lists
from tribrid.types import JudgedQuery
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from workbench import halves, indexed, judged

SIZES, SEEDS, PAIRS = (30, 100, 500), (13, 1, 2, 3, 4), 500
TOKEN_BYTES = 2 << 30
TIME_SHARE = 4 / 5
"""Of a log, the clicks that teach; the rest is what is measured on, as in real_clicks.py."""


class Collection(NamedTuple):
    """What teaches, by query, and what is measured on; `clicks` where the labels are those of a log."""

    folder: Path
    training: Sequence[JudgedQuery]
    evaluation: Sequence[JudgedQuery]
    clicks: Sequence[Click] = ()


def collection(folder: Path) -> Collection:
    """From a folder in BEIR's form."""
    if (folder / "raw/train.csv").is_file():
        records = (folder / "corpus.jsonl").read_text("utf-8").splitlines()
        clicks = read(folder / "raw/train.csv", frozenset(json.loads(record)["_id"] for record in records if record))
        cut = int(len(clicks) * TIME_SHARE)
        return Collection(folder, as_judged(clicks[:cut]), as_judged(clicks[cut:]), clicks[:cut])
    evaluation = judged(folder, "qrels.tsv")
    if (folder / "qrels_train.tsv").is_file():
        return Collection(folder, judged(folder, "qrels_train.tsv"), evaluation)
    return Collection(folder, *halves(evaluation))


def quiet(*_: object) -> None:
    """Takes progress and forgets it."""


def read_once() -> Callable[[str], None]:
    """Keep what is the same in every run on one collection. To be told on which one the next run is."""
    known: dict[Hashable, Any] = {}
    current = [""]

    def once(work: Callable[..., Any], key: Callable[..., Hashable]) -> Callable[..., Any]:
        def kept(*args: Any) -> Any:
            at = (current[0], work.__qualname__, key(*args))
            if at not in known:
                known[at] = work(*args)
            return known[at]

        return kept

    tokens: dict[str, KeptTokens] = {}

    def shared(corpus: OpenCorpus) -> KeptTokens:
        kept = tokens.setdefault(corpus.corpus_id, KeptTokens(lambda _: (), TOKEN_BYTES))
        kept._fetch = corpus._tokens  # of the copy that this run is on
        return kept

    def on(corpus_id: str) -> None:
        current[0] = corpus_id

    describe = once(features.describe, lambda query, found, *_: (query.text, tuple(c.passage.key for c in found)))
    for module in (features, scorer, lists):
        module.describe = describe  # type: ignore[attr-defined]
    Retriever.search = once(Retriever.search, lambda _, query, depth: (query, depth))  # type: ignore[method-assign]
    OpenCorpus.kept_tokens = shared  # type: ignore[method-assign]
    return on


def teach(tribrid: Tribrid, of: Collection, size: int, seed: int) -> int:
    """Store the labels of so many queries, drawn by the seed; how many there were."""
    candidates = [query for query in of.training if query.has_positive]
    drawn = random.Random(seed).sample(candidates, min(size, len(candidates)))
    corpus = tribrid.corpus(of.folder.name)
    if of.clicks:
        asked = {normalise(query.text) for query in drawn}
        corpus.logs.add([log_of([click for click in of.clicks if normalise(click[1]) in asked])], "clicks")
    else:
        corpus.judgments.put(drawn)
    corpus.eval_dataset.put(of.evaluation)
    return len(drawn)


def run(of: Collection, size: int, seed: int, cache: Path | None) -> dict[str, Any]:
    """One training and its evaluation, as a line of the results."""
    name, started = of.folder.name, time.monotonic()
    with indexed(of.folder, cache) as tribrid:
        queries = teach(tribrid, of, size, seed)

        def corpus() -> OpenCorpus:
            return open_corpus(tribrid.folder, name)

        _, mined = mine.mine(corpus(), MineParams.model_validate({"max_pairs": PAIRS}), quiet)
        model = train.train(corpus(), "run", {"seed": seed}, quiet, lambda: False)
        report = evaluate.compare_systems(corpus(), "evaluation", EvaluateParams(model_id=model.model_id), quiet)
    measure, systems = report.primary_measure, {key: of for key, of in report.systems.items() if of is not None}
    told = model.manifest["metrics"]["blend"]
    change = systems[told["start"]].after_minus
    return {
        "collection": name,
        "size": size,
        "seed": seed,
        "queries": queries,
        "pairs": mined.counts["by_source"],
        "remembered": mined.counts["remembered"],
        "measure": measure,
        "means": {key: of.means[measure] for key, of in systems.items()},
        "start": told["start"],
        "blend": told,
        "change": {"mean": change.mean, "low": change.ci95[0], "high": change.ci95[1], "p": change.p_value},
        "verdict": report.verdict.decision,
        "reasons": report.verdict.reasons,
        "took_s": round(time.monotonic() - started, 1),
    }


def below(line: Mapping[str, Any]) -> bool:
    """Whether the model ranks worse than its start by more than chance, as the gate tells it."""
    return line["change"]["high"] < 0


def row(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    """Of the table: what these runs have in common."""
    learned = sum(line["blend"]["form"] != line["start"] for line in found)
    promoted = sum(line["verdict"] == "promote" for line in found)
    means = [line["means"] for line in found]
    change = mean(line["change"]["mean"] for line in found)
    without = mean(
        of.get("blend_without_memory", of["challenger"]) - of[line["start"]]
        for of, line in zip(means, found, strict=True)
    )
    over = mean(of["challenger"] - of["retrieval"] for of in means)
    counts = f"{len(found)} | {learned} | {sum(map(below, found))} | {promoted}"
    return f"| {name} | {counts} | {change:+.4f} | {without:+.4f} | {over:+.4f} |"


def results_of(path: Path) -> list[dict[str, Any]]:
    """The runs that are done."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Of all results that there are."""
    head = ["collection, queries", "runs", "learned something", "surely below start", "promoted", "change from start"]
    head += ["of it without memory", "over fused"]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    kinds = dict.fromkeys((line["collection"], line["queries"]) for line in found)
    for name, queries in sorted(kinds):
        of = [line for line in found if (line["collection"], line["queries"]) == (name, queries)]
        rows.append(row(f"{name}, {queries}", of))
    rows += [row(f"all with {size}", of) for size in SIZES if (of := [one for one in found if one["size"] == size])]
    return "\n".join([*rows, row("all", found)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="collections in BEIR's form; none: only the table")
    parser.add_argument("--cache", type=Path, default=None, help="keep the indexes here, and use them again")
    parser.add_argument("--results", type=Path, required=True, help="a JSON line for each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the draw and the training")
    args = parser.parse_args()
    done = {(line["collection"], line["queries"], line["seed"]) for line in results_of(args.results)}
    on, collections = read_once(), [collection(folder) for folder in args.folders]
    for seed, of, size in itertools.product(args.seeds, collections, SIZES):
        name, most = of.folder.name, sum(query.has_positive for query in of.training)
        key = (name, min(size, most), seed)
        if key not in done:
            on(name)
            found = run(of, size, seed, args.cache)
            with args.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            done.add(key)
            sys.stderr.write(f"{key}: {found['change']} {found['verdict']} in {found['took_s']} s\n")
    print(table(results_of(args.results)))


if __name__ == "__main__":
    main()
