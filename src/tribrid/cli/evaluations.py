"""`tribrid evaluations`: the reports there are, one of them, or two compared."""

from __future__ import annotations

from collections.abc import Sequence

from tribrid.app import Tribrid
from tribrid.cli.command import Session
from tribrid.cli.differences import evaluation_difference, two_to_compare
from tribrid.cli.library import library
from tribrid.cli.reportfiles import ReportFiles
from tribrid.cli.reports import report_view
from tribrid.cli.terminal import moment, table
from tribrid.errors import InvalidInput

_NONE = "There is no evaluation yet. Make one: tribrid evaluate CORPUS"


def evaluations(session: Session, asked: Sequence[str], corpus_id: str | None, files: ReportFiles) -> None:
    """List, show, write or compare; see `tribrid evaluations --help`.

    Raises:
        InvalidInput: what is asked needs an EVALUATION_ID, or is too much.
        EvaluationNotFound, NotComparable.
    """
    pair = two_to_compare(asked, "evaluations")
    if any(files) and (pair or not asked):
        raise InvalidInput("--html and --junit write one evaluation: tribrid evaluations EVALUATION_ID --html FILE.")
    files.check()
    with library(session) as tribrid:
        if pair:
            found = tribrid.evaluations.diff(*pair)
            session.terminal.result(found, *evaluation_difference(found))
        elif asked:
            report = tribrid.evaluations.get(asked[0])
            files.write(session, tribrid, asked[0])
            session.terminal.result(report, report_view(report))
        else:
            _list(session, tribrid, corpus_id)


def _list(session: Session, tribrid: Tribrid, corpus_id: str | None) -> None:
    corpus_ids = [corpus_id] if corpus_id else [corpus.corpus_id for corpus in tribrid.corpora()]
    found = [{"corpus_id": name, **row} for name in corpus_ids for row in tribrid.corpus(name).evaluations()]
    rows = [
        [row["evaluation_id"], row["corpus_id"], moment(row["created_at"]), row.get("model_id"), row.get("decision")]
        for row in found
    ]
    columns = ["Evaluation", "Corpus", "Created", "Model", "Verdict"]
    session.terminal.result({"evaluations": found}, table(columns, rows) if rows else _NONE)
