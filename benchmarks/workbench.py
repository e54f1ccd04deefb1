"""What the benchmarks share: collections in BEIR's form, a library on an indexed copy of one, the loop run on it."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tribrid.app import Tribrid
from tribrid.compute.shards import processes
from tribrid.corpus.formats import judged_queries, parse_qrels, parse_queries
from tribrid.types import JudgedQuery

SEEDS = (13, 1, 2)
S = TypeVar("S")
R = TypeVar("R")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that every benchmark on a collection takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path, help="collection in BEIR's form: corpus.jsonl, queries.jsonl and qrels")
    made.add_argument("--cache", type=Path, default=None, help="keep the index here, and use it again")
    made.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="one training each, same data")
    made.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="training hyperparameters")
    return made


def spread(work: Callable[[S], R], shards: Iterable[S], workers: int) -> Iterator[R]:
    """What `work` makes of each shard, in order: here, or on so many processes that find modules as this one does."""
    if workers == 1:
        return map(work, shards)
    return processes(workers, 1, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).map(work, shards)


def judged(folder: Path, qrels: str) -> list[JudgedQuery]:
    """The queries of one file of judgments."""
    with (folder / "queries.jsonl").open("rb") as stream:
        texts = parse_queries(stream)
    return judged_queries(texts, parse_qrels((folder / qrels).read_text("utf-8")))


def halves(queries: Sequence[JudgedQuery]) -> tuple[list[JudgedQuery], list[JudgedQuery]]:
    """Queries dealt into two halves by the hash of their text: to learn from, and to be measured on."""
    dealt: tuple[list[JudgedQuery], list[JudgedQuery]] = ([], [])
    for query in queries:
        dealt[hashlib.sha256(query.text.encode()).digest()[0] % 2].append(query)
    return dealt


@contextmanager
def indexed(folder: Path, cache: Path | None) -> Iterator[Tribrid]:
    """A library whose one corpus is the collection, named after its folder; on a copy, so that runs share nothing."""
    with tempfile.TemporaryDirectory() as temporary:
        home = (cache or Path(temporary) / "cache") / folder.name
        if not (home / "indexed").is_file():
            with Tribrid(home) as tribrid:
                tribrid.create_corpus(folder.name)
                tribrid.corpus(folder.name).documents.add_path(folder / "corpus.jsonl")
            (home / "indexed").touch()
        copy = Path(temporary) / "data"
        shutil.copytree(home, copy)
        with Tribrid(copy) as tribrid:
            yield tribrid


def train_and_evaluate(tribrid: Tribrid, corpus: str, seeds: Sequence[int], settings: Sequence[str]) -> list[Any]:
    """A report for each seed, every one against the first stage; what was promoted is taken back."""
    reports = []
    for seed in seeds:
        tribrid.corpus(corpus).train(seed=seed, **dict(pair.split("=", 1) for pair in settings))
        report = tribrid.corpus(corpus).evaluate()
        reports.append(report)
        if report.promoted:
            tribrid.corpus(corpus).rollback("the next seed starts from the first stage too")
        sys.stderr.write(f"{corpus} seed {seed}: {report.after} {' '.join(report.verdict.reasons)}\n")
    return reports


def table(reports: Sequence[Any], seeds: Sequence[int], measure: str) -> str:
    """Markdown: before and after by seed, and their mean."""
    rows = [
        f"| seed | {measure} before | after | change, 95 % interval | p | verdict | served |",
        "|---|---|---|---|---|---|---|",
    ]
    for seed, report in zip(seeds, reports, strict=True):
        delta, blend = report.delta[measure], report.training["blend"]
        low, high = delta.ci95
        form = f"{blend['form']}{' with memory' if blend['memory'] else ''}"
        rows.append(
            f"| {seed} | {report.before[measure]:.4f} | {report.after[measure]:.4f} "
            f"| {delta.mean:+.4f} [{low:+.4f}, {high:+.4f}] | {delta.p_value:.4f} "
            f"| {report.verdict.decision} | {form} |"
        )
    before = sum(report.before[measure] for report in reports) / len(reports)
    after = sum(report.after[measure] for report in reports) / len(reports)
    rows.append(f"| mean | {before:.4f} | {after:.4f} | {after - before:+.4f} | | | |")
    return "\n".join(rows)
