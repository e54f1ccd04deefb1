"""`tribrid backup` and `tribrid restore`: all that is stored, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from tribrid.cli.command import Session
from tribrid.cli.events import Teller
from tribrid.cli.library import library
from tribrid.cli.progress import gauge
from tribrid.cli.terminal import Verbatim, facts, moment

if TYPE_CHECKING:
    from tribrid.answers.backup import BackupFacts


def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file; only you can read it.")],
    *,
    with_index: Annotated[
        bool, typer.Option("--with-index/--without-index", help="Also the indexes, which can be made again.")
    ] = False,
) -> None:
    """Back up all that is stored into one file: documents, logs, judgments, models, reports, settings, keys' hashes.

    Safe while a server runs: the rows are those of one moment.
    """
    with library(session) as tribrid, gauge(session.terminal.err, "Backing up") as shown:
        made = tribrid.backup(file, with_index=with_index, emit=Teller(shown).told)
    session.terminal.result(made, _facts("Backed up", made))


def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tribrid backup` wrote.")],
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Only read all of it, and say whether it is whole.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Delete what the data folder and database hold.")] = False,
) -> None:
    """Restore a backup into an empty data folder, and into SQLite or PostgreSQL (TRIBRID_DATABASE_URL).

    All of it is restored, or nothing. Backups of older versions are brought up to date.
    """
    from tribrid.app.backup import verify as read_all
    from tribrid.app.restore import restore as put_back
    from tribrid.config import read_environment

    if verify:
        found = read_all(file)
        session.terminal.result(found, _facts("Whole", found))
        return
    environment = read_environment()
    if session.data_dir:
        environment = environment.model_copy(update={"data_dir": session.data_dir.expanduser().resolve()})
    with gauge(session.terminal.err, "Restoring") as shown:
        done = put_back(environment, file, replace=replace, emit=Teller(shown).told)
    session.terminal.result(done, _facts("Restored", done))
    if done.to_index:
        session.terminal.note("The backup holds no index of these corpora. Until you make it, searches find nothing:")
        for corpus_id in done.to_index:
            session.terminal.note(Verbatim(f"  {session.typed(f'index {corpus_id} --rebuild')}"))


def _facts(what: str, about: BackupFacts) -> RenderableType:
    return facts(
        {
            what: about.file,
            "Made": f"{moment(about.created_at)} by Tribrid {about.version}",
            "Size": f"{about.bytes / 1e6:,.1f} MB",
            "Corpora": ", ".join(about.corpora),
            "Rows": f"{about.rows:,}",
            "Models": about.artifacts,
            "Models whose files were gone": len(about.missing_artifacts) or None,
            "Indexes": ", ".join(about.indexes),
        }
    )
