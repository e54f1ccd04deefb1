"""Every command as it can be typed: its arguments, options and help. What each does stands in the file it imports.

Those files load the library; this one must stay light.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from tribrid.cli.command import Session, command
from tribrid.cli.evalset import evalset
from tribrid.cli.experimenting import experiment
from tribrid.cli.keeping import erase, keys, logs, models
from tribrid.cli.report_commands import Html, JUnit, evaluations

SET_UP, SEARCH, LEARN, LOOK = "Set up", "Search and log", "Learn", "Look after"

Corpus = Annotated[str, typer.Argument(metavar="CORPUS", help="The corpus's id.")]
ToStdin = "`-` reads standard input."
NoWait = Annotated[bool, typer.Option("--no-wait", help="Queue the job and return; a running server works on it.")]

Also = Annotated[
    list[str] | None,
    typer.Option(metavar="CORPUS", help="Another corpus: is the gain the same there? Can be given again."),
]
Arm = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RUN",
        help="Another engine by its TREC run file, judged as it is; NAME=order:RUN judges only its order of the "
        "candidates; NAME=model:MODEL_ID is another version. Can be given again.",
    ),
]


def declare(app: typer.Typer) -> None:
    """Add every command to the program."""
    for name, panel, function in _COMMANDS:
        command(app, name, panel)(function)


def demo(
    session: Session,
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the last demo and start over.")] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Default: 8000, or another if it is taken.")
    ] = None,
) -> None:
    """Run the whole loop on the source of Python's standard library and show before against after.

    Keeps its state in .tribrid-demo: a second run shows the saved result at once, an interrupted one goes on.
    """
    from tribrid.cli import demonstration

    demonstration.demo(session, fresh=fresh, port=port)


def serve(
    session: Session,
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Beyond loopback only with an API key.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: TRIBRID_PORT, else 8000.")] = None,
    parent_pid: Annotated[int | None, typer.Option("--parent-pid", hidden=True)] = None,
) -> None:
    """Serve the HTTP API and run its jobs."""
    from tribrid.cli import operating

    operating.serve(session, host=host, port=port, parent_pid=parent_pid)


def index(
    session: Session,
    corpus: Corpus,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Folders, files, or records (.jsonl, .ndjson, .json; a BEIR corpus.jsonl as it is). "
            "`-` reads records from standard input. Files gone from a folder are deleted from the corpus.",
        ),
    ],
    *,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Delete all documents that are not in PATH, wherever they came from.")
    ] = False,
) -> None:
    """Index documents: new and changed ones are embedded, unchanged ones are not. Creates the corpus if need be."""
    from tribrid.cli import feeding

    feeding.index(session, corpus, paths, mirror=mirror)


def corpora(
    session: Session,
    corpus: Annotated[str | None, typer.Argument(metavar="CORPUS", help="Show this one.")] = None,
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the corpus and all that belongs to it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """List the corpora, show one, or delete one."""
    from tribrid.cli import feeding

    feeding.corpora(session, corpus, delete=delete, yes=yes)


def search(
    session: Session,
    corpus: Corpus,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    *,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=1000, help="Most results.")] = 10,
) -> None:
    """Search a corpus. What was shown is logged under the query_id it prints."""
    from tribrid.cli import searching

    searching.search(session, corpus, query, top_k=top_k)


def feedback(
    session: Session,
    query_id: Annotated[str, typer.Argument(metavar="QUERY_ID", help="As `tribrid search` printed it.")],
    doc_id: Annotated[
        str | None, typer.Argument(metavar="DOC_ID", help="Left out: it is about the whole list.")
    ] = None,
    *,
    signal: Annotated[str, typer.Option(help="click, dwell, copy, cite, thumbs_up, thumbs_down or rating.")],
    value: Annotated[float | None, typer.Option(help="Of dwell: seconds. Of rating: 1 to 5.")] = None,
) -> None:
    """Say what a user did with a result."""
    from tribrid.cli import searching

    searching.feedback(session, query_id, doc_id, signal=signal, value=value)


def import_(
    session: Session,
    corpus: Corpus,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help=f"NDJSON (clicks also CSV); several are read as one. {ToStdin}")
    ],
    *,
    form: Annotated[
        Literal["native", "ubi", "clicks"],
        typer.Option(
            "--format",
            help="ubi: OpenSearch User Behavior Insights 1.3. clicks: query, document and time of each click alone.",
        ),
    ] = "native",
) -> None:
    """Import search logs: queries with what was shown, and what users did. What is there already is left as it is."""
    from tribrid.cli import feeding

    feeding.import_logs(session, corpus, files, form=form)


def judgments(
    session: Session,
    corpus: Corpus,
    *,
    queries: Annotated[Path | None, typer.Option(help="Query texts: BEIR queries.jsonl, or TREC topics.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Their judgments: TREC or BEIR qrels.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Or both in one: JSON, JSONL, Quepid's CSV, or a BEIR folder (its train split).")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Forget the judgments given before.")] = False,
) -> None:
    """Give relevance judgments to train from, or show what there is."""
    from tribrid.cli import feeding, judgedfiles

    feeding.judgments(session, corpus, judgedfiles.Given(file, queries, qrels), replace=replace)


def mine(
    session: Session,
    corpus: Corpus,
    *,
    max_pairs: Annotated[int | None, typer.Option(help="Most (query, positive) pairs.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="logs, judgments or heuristics; can be given again. Default: all there is.")
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Mine training triplets from logs, judgments and the documents themselves."""
    from tribrid.cli import learning

    learning.mine(session, corpus, max_pairs=max_pairs, sources=source, wait=not no_wait)


def train(
    session: Session,
    corpus: Corpus,
    *,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training queries.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Queries per step.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other hyperparameter; can be given again."),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Train a reranker on the mined triplets. A durable job: Ctrl-C stops the watching, not the training."""
    from tribrid.cli import learning

    given = {"epochs": epochs, "batch_size": batch_size}
    learning.train(session, corpus, given, settings or [], wait=not no_wait)


def evaluate(
    session: Session,
    corpus: Corpus,
    *,
    model: Annotated[str | None, typer.Option(help="A model_id. Default: the newest.")] = None,
    also: Also = None,
    arm: Arm = None,
    html: Html = None,
    junit: JUnit = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 7 unless the verdict is to promote; errors keep their own codes.")
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Measure before against after on the eval dataset, and promote what is better for certain."""
    from tribrid.cli import learning, reportfiles

    company = learning.Company(also or [], arm or [])
    files = reportfiles.ReportFiles(html, junit)
    learning.evaluate(session, corpus, model_id=model, files=files, gate=gate, wait=not no_wait, company=company)


def readiness(session: Session, corpus: Corpus) -> None:
    """Say whether there is enough data to train, and what is missing."""
    from tribrid.cli import reviewing

    reviewing.readiness(session, corpus)


def triplets(
    session: Session,
    corpus: Corpus,
    *,
    status: Annotated[
        str | None, typer.Option(help="active, review, accepted, flipped or dropped. Default: all.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="logs, judgments or heuristics. Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most triplets to show.")] = 20,
    offset: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Triplets to leave out at the start.")] = 0,
) -> None:
    """Show what was mined. With --status review: what waits for a decision of `tribrid review`."""
    from tribrid.cli import reviewing

    reviewing.triplets(session, corpus, status=status, source=source, offset=offset, limit=limit)


def review(
    session: Session,
    decision: Annotated[
        Literal["accept", "flip", "drop"],
        typer.Argument(
            metavar="DECISION",
            help="accept: a true negative, train on it. flip: a positive of the query. drop: neither.",
        ),
    ],
    triplet_ids: Annotated[
        list[str], typer.Argument(metavar="TRIPLET_ID", help="As `tribrid triplets CORPUS --status review` shows it.")
    ],
) -> None:
    """Decide on triplets whose negative may be relevant itself. It holds for this mining and all later ones."""
    from tribrid.cli import reviewing

    reviewing.review(session, decision, triplet_ids)


def promote(
    session: Session,
    corpus: Corpus,
    model: Annotated[str | None, typer.Argument(metavar="MODEL_ID", help="Default: the newest.")] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept. Needed with --force.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also one that no evaluation shows to be better than what serves.")
    ] = False,
) -> None:
    """Make a model the one that serves, if an evaluation shows that it is better than what serves now."""
    from tribrid.cli import learning

    learning.promote(session, corpus, model, reason=reason, force=force)


def rollback(
    session: Session, corpus: Corpus, *, reason: Annotated[str, typer.Option(help="Why; it is kept.")] = ""
) -> None:
    """Go back to what served before the last promotion; again, to what served before that one."""
    from tribrid.cli import learning

    learning.rollback(session, corpus, reason=reason)


def runs(
    session: Session,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_ID|diff A B", help="Show this one, or what differs between two.")
    ] = None,
    *,
    corpus: Annotated[str | None, typer.Option(help="Only this corpus's.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for its end.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End it.")] = False,
    diff: Annotated[str | None, typer.Option(metavar="RUN_ID", help="What differs from this other run.")] = None,
) -> None:
    """List the training runs; show, follow, compare or cancel one."""
    from tribrid.cli import learning

    learning.runs(session, run or [], learning.About(corpus, follow, cancel, diff))


def config(
    session: Session,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="CORPUS|SECTION.FIELD=VALUE", help="A corpus (else all), and what to set."),
    ] = None,
    *,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="SECTION.FIELD", help="Back to the value it had; can be given again.")
    ] = None,
) -> None:
    """Show or change the settings: each with its value and where that comes from."""
    from tribrid.cli import operating

    operating.config(session, settings or [], unset or [])


def doctor(session: Session) -> None:
    """Say what works on this machine, by doing it."""
    from tribrid.cli import operating

    operating.doctor(session)


_COMMANDS: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("demo", SET_UP, demo),
    ("serve", SET_UP, serve),
    ("index", SET_UP, index),
    ("corpora", SET_UP, corpora),
    ("search", SEARCH, search),
    ("feedback", SEARCH, feedback),
    ("import", SEARCH, import_),
    ("judgments", LEARN, judgments),
    ("evalset", LEARN, evalset),
    ("readiness", LEARN, readiness),
    ("mine", LEARN, mine),
    ("triplets", LEARN, triplets),
    ("review", LEARN, review),
    ("train", LEARN, train),
    ("evaluate", LEARN, evaluate),
    ("experiment", LEARN, experiment),
    ("promote", LEARN, promote),
    ("rollback", LEARN, rollback),
    ("runs", LOOK, runs),
    ("evaluations", LOOK, evaluations),
    ("models", LOOK, models),
    ("erase", LOOK, erase),
    ("config", LOOK, config),
    ("keys", LOOK, keys),
    ("logs", LOOK, logs),
    ("doctor", LOOK, doctor),
)

NAMES = tuple(name for name, _, _ in _COMMANDS)
