"""`tribrid index --watch`: index again whenever something changed.

It looks every two seconds at what there is, by name, size and time, as `index` itself lists it: that works on every
disk, a network's too, which tells nobody of its changes. A round begins when two looks saw the same, so that a
file that is still being written is left to be finished.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from tribrid.cli.command import Session
from tribrid.cli.sources import STDIN, Wanted
from tribrid.cli.spoken import spoken
from tribrid.errors import InvalidInput, TribridError

POLL_S, AGAIN_S = 2.0, 60.0
"""Between two looks; and before a round that failed is tried again although nothing changed."""
_Seen: TypeAlias = frozenset[tuple[str | int, ...]]


def watch(session: Session, wanted: Wanted, index: Callable[[], None]) -> None:
    """Index now, and after every change, until Ctrl-C. A later round that fails is told, and does not end it.

    Raises:
        InvalidInput: it cannot be watched. And what the first round raises.
    """
    if session.terminal.as_json or STDIN in wanted.paths:
        raise InvalidInput("--watch goes with files and folders, and not with --json: it has no one end to tell.")
    done, again_at = _seen(wanted), math.inf
    index()
    session.terminal.note(f"Watching {', '.join(wanted.paths)}. Ctrl-C stops it.")
    before = done
    while (now := _next_look(wanted)) is not None:
        if now == before and (now != done or time.monotonic() >= again_at):
            done, again_at = now, math.inf if tried(session, index) else time.monotonic() + AGAIN_S
        before = now
    session.terminal.note("Stopped watching.")


def _next_look(wanted: Wanted) -> _Seen | None:
    """What there is after a while; None on Ctrl-C."""
    try:
        time.sleep(POLL_S)
        return _seen(wanted)
    except KeyboardInterrupt:
        return None


def tried(session: Session, work: Callable[[], None]) -> bool:
    """Do it; whether that went well. What failed is told."""
    try:
        work()
    except BrokenPipeError:  # nobody reads it any more
        raise
    except TribridError as error:
        session.terminal.error(spoken(error.detail))
        return False
    except OSError as error:
        session.terminal.error(str(error))
        return False
    return True


def _seen(wanted: Wanted) -> _Seen:
    return frozenset(state for path in wanted.paths for state in _states(Path(path), wanted))


def _states(path: Path, wanted: Wanted) -> Iterator[tuple[str | int, ...]]:
    # Slow to import (see tribrid.cli).
    from tribrid.corpus.folders import walk

    for entry in walk(path, wanted.choice) if path.is_dir() else [path]:
        if not isinstance(entry, Path):
            yield str(entry.doc_id), entry.reason
            continue
        try:
            info = entry.stat()
        except OSError as error:  # gone meanwhile, or closed to us: that is how it stands
            yield str(entry), str(error.strerror)
        else:
            yield str(entry), info.st_mtime_ns, info.st_size, info.st_ino
