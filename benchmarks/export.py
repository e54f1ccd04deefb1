"""What a model's order is worth in a plain cross-encoder: `models export --as cross-encoder`.

    python benchmarks/export.py ../shared/data/{scifact,nfcorpus,cranfield} --minutes 20 [--base PATH]

A model is trained by the promised calls on each collection (on half of its judged queries, where it has no others to
learn from) and its order is taught to a cross-encoder, which is measured on the eval dataset beside its teacher and the
first stage, on the same candidates. Where it ranks worse than the first stage the export is refused, and so says the
table. tau is Kendall's, of the student's and of the first stage's order with the teacher's, on other queries.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tribrid.answers.models import Student
from tribrid.app import Tribrid
from tribrid.errors import NotProven
from tribrid.types import JudgedQuery
from workbench import halves, indexed, judged

MAX_PAIRS, SEED = 500, 13


def split(folder: Path) -> tuple[list[JudgedQuery], list[JudgedQuery]]:
    """Queries to learn from and to be measured on."""
    evaluation = judged(folder, "qrels.tsv")
    if (folder / "qrels_train.tsv").is_file():
        return judged(folder, "qrels_train.tsv"), evaluation
    return halves(evaluation)


def trained(tribrid: Tribrid, corpus: str, training: list[JudgedQuery], evaluation: list[JudgedQuery]) -> str:
    """The id of the model that the promised calls make."""
    opened = tribrid.corpus(corpus)
    opened.judgments.put(training)
    opened.eval_dataset.put(evaluation)
    opened.mine(max_pairs=MAX_PAIRS)
    return str(opened.train(seed=SEED, cross_encoder=False).model_id)


def row(name: str, student: Student) -> Iterator[str]:
    """Cells of the table."""
    worth = student.measured
    low, high = worth.over_first_stage.ci95
    yield from (name, str(worth.queries), f"{student.lists:,}", f"{student.took_s / 60:.0f}")
    yield from (f"{worth.ndcg_at_10[who]:.4f}" for who in ("first_stage", "teacher", "student"))
    yield f"{worth.over_first_stage.mean:+.4f} [{low:+.4f}, {high:+.4f}]"
    yield f"{student.agrees.kendall_tau:.2f}, {student.first_stage_agrees.kendall_tau:.2f}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--cache", type=Path, default=None)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--base", default=None)
    args = arguments.parse_args()
    head = ("collection", "queries", "lists", "min", "first stage", "teacher", "student", "over the first stage", "tau")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for folder in args.folders:
        training, evaluation = split(folder)
        with indexed(folder, args.cache) as tribrid, tempfile.TemporaryDirectory() as work:
            model = trained(tribrid, folder.name, training, evaluation)
            print(f"{folder.name}: trained {model}", file=sys.stderr, flush=True)
            to, how = Path(work) / "student", {"base_model": args.base, "minutes": args.minutes}
            try:
                made = tribrid.models.export(model, to, as_="cross-encoder", **how)
            except NotProven as refused:
                print(f"| {folder.name} | refused: {refused} |", flush=True)
                continue
            if made.student is not None:
                print(f"| {' | '.join(row(folder.name, made.student))} |", flush=True)


if __name__ == "__main__":
    main()
