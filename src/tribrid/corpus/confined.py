"""Reads files in a process of its own, which is ended when a file takes too long or too much memory.

The kernel keeps the limits, so they hold inside libraries too: a timer of processor time, which a busy machine does not
run down, and a limit of address space. Waiting (for a disk that does not answer) has a limit by the clock. One process
reads file after file, and is replaced only when it was ended. It answers in JSON: what comes from it was made from
files that nobody vouches for.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tribrid.corpus.contents import Contents, NotStarted, Unreadable
from tribrid.corpus.readers import read_file
from tribrid.errors import MissingExtra

# A reader that can stop by itself does, before it is ended and all that it read is lost.
_BUDGET_SHARE = 0.8
_LEAVING_S = 5
_PAUSES_S = (0.2, 1.0)
"""Between attempts to start the process: what it lacks may be free again."""
_BLOCK_BYTES = 1 << 16
_MIB = 1 << 20
_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take.

    Attributes:
        max_chars: of title and text together.
        timeout_s: processor time, seconds.
        waiting_s: by the clock, seconds; the start of the process may take as long.
        memory_mb: of the process that reads it, MiB; kept on Linux alone.
    """

    max_chars: int
    timeout_s: float
    waiting_s: float
    memory_mb: int


class ConfinedReader:
    """A process that reads files, started at the first one. Leaving the context ends it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._process is not None and self._process.stdin is not None:
            # It has nothing to do, and ends by itself when nobody can ask any more.
            self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LEAVING_S)
        self._end()

    def read(self, path: Path, form: str) -> Contents:
        """A file's contents, by the reader for its ending.

        Raises:
            Unreadable: with the reason, which may be that it took too long or too much.
            NotStarted: no process can be started, which says nothing of the file.
            OSError: it cannot be opened.
        """
        process = self._running()
        deadline = time.monotonic() + self._limits.waiting_s
        try:
            _send(process, {"path": str(path), "form": form})
            answer = _answer(process, deadline)
        except TimeoutError:
            self._end()
            raise Unreadable(f"took longer than {self._limits.waiting_s:g} s by the clock") from None
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise Unreadable(self._why_it_ended())
        return _contents(json.loads(answer))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        for pause_s in _PAUSES_S:
            try:
                return self._process or self._started()
            except NotStarted:
                time.sleep(pause_s)
        return self._process or self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        # -P: a file `json.py` in the folder that is read is not the standard library's.
        command = [sys.executable, "-P", "-m", "tribrid.corpus.confined", *map(str, astuple(self._limits))]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
            )
            ready = _answer(self._process, time.monotonic() + self._limits.waiting_s)
        except TimeoutError:
            self._end()
            raise NotStarted(f"it took longer than {self._limits.waiting_s:g} s") from None
        except OSError as error:
            self._end()
            raise NotStarted(str(error.strerror or error)) from error
        if not ready:
            process = self._process
            self._end()
            raise NotStarted(f"it ended with {_ending(process.returncode)}")
        return self._process

    def _why_it_ended(self) -> str:
        process = self._process
        self._end()
        code = process.returncode if process else 0
        if code == -signal.SIGPROF:
            return f"took longer than {self._limits.timeout_s:g} s of processor time"
        return f"ended the process that read it ({_ending(code)}); it may need more than {self._limits.memory_mb:,} MiB"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def _send(process: subprocess.Popen[bytes], request: dict[str, str]) -> None:
    if process.stdin is not None:
        os.write(process.stdin.fileno(), json.dumps(request).encode() + b"\n")


def _answer(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """A line from the process; empty if it ended before.

    Raises:
        TimeoutError: the deadline is over, on the monotonic clock.
    """
    held = bytearray()
    with selectors.DefaultSelector() as selector:
        if process.stdout is not None:
            selector.register(process.stdout, selectors.EVENT_READ)
        while not held.endswith(b"\n"):
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            block = os.read(ready[0][0].fd, _BLOCK_BYTES)
            if not block:
                return b""
            held += block
    return bytes(held)


def _contents(answer: dict[str, Any]) -> Contents:
    if "refused" in answer:
        raise Unreadable(answer["refused"])
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    return Contents(answer["title"], answer["text"], tuple(answer["losses"]), tuple(answer["links"]))


def _read(path: str, form: str, limits: Limits) -> dict[str, object]:
    try:
        budget_s = limits.timeout_s * _BUDGET_SHARE
        found = read_file(Path(path), form, max_chars=limits.max_chars, budget_s=budget_s)
        return asdict(found)
    except (Unreadable, MissingExtra) as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": f"needs more than {limits.memory_mb:,} MiB of memory"}
    except OSError as error:
        return {"errno": error.errno} if error.errno else {"refused": f"cannot be read: {error}"}
    # A library that fails in a way of its own: the file's fault, as far as anybody here can tell.
    except Exception as error:  # noqa: BLE001
        return {"refused": f"cannot be read: {type(error).__name__}: {error}"[:_REASON_CHARS]}


def _serve(limits: Limits) -> None:
    """Read what is asked for until nobody asks any more."""
    # What a library prints is no answer.
    with os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)
        answers.write(b"\n")  # all that is needed is loaded
        for line in sys.stdin.buffer:
            signal.setitimer(signal.ITIMER_PROF, limits.timeout_s)
            answer = json.dumps(_read(**json.loads(line), limits=limits)).encode() + b"\n"
            signal.setitimer(signal.ITIMER_PROF, 0)
            answers.write(answer)


def main() -> None:
    """The process: its limits from the command line, its files from stdin."""
    max_chars, timeout_s, waiting_s, memory_mb = sys.argv[1:]
    limits = Limits(int(max_chars), float(timeout_s), float(waiting_s), int(memory_mb))
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = limits.memory_mb * _MIB
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    # A broken file is reported by its reason; what libraries say about it beside that is nobody's.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    _serve(limits)


if __name__ == "__main__":
    main()
