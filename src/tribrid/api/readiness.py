"""Loads the models in the background once the server listens, so that the first search is as fast as the next; then
looks after the data folder, and says how it stands.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tribrid.answers.health import Ready
from tribrid.app.bounds import EVERYWHERE, Bounds
from tribrid.app.health import Condition
from tribrid.errors import TribridError, Unavailable

RETRY_S = 30.0
LOOK_S = 5.0
FRESH_S = 1.0
"""How long it holds how the data folder stands."""
_log = logging.getLogger(__name__)


class Readiness:
    """Whether the models are warm, and searches are answered. What keeps the models cold may be mended while the server
    runs, so it tries again.
    """

    def __init__(
        self,
        warm: Callable[[], None],
        look: Callable[[], Condition],
        mend: Callable[[], None],
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        """Take how the models are loaded, how the data folder stands, and what is done for it from time to time."""
        self._warm, self._look, self._mend = warm, look, mend
        self._retry_s = retry_s
        self._looking = threading.Lock()
        self._condition = Condition((), {})
        self._looked_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warm-up", daemon=True)
        self._ready = False
        self._problem: TribridError | None = None

    @property
    def warm(self) -> bool:
        """Whether the models are loaded."""
        return self._ready

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Try no more. A loading that is under way is left to itself."""
        self._stopping.set()

    def condition(self) -> Condition:
        """How the data folder stands, or stood within the last second."""
        with self._looking:
            if time.monotonic() - self._looked_at >= FRESH_S:
                self._condition = self._look()
                self._looked_at = time.monotonic()
            return self._condition

    def check(self, bounds: Bounds = EVERYWHERE) -> Ready:
        """What is ready, and what does not work as it should.

        Args:
            bounds: of who asks: of other corpora nothing is said.

        Raises:
            Unavailable: the models are not loaded yet, or cannot be; or no search is answered; and why.
        """
        if not self._ready:
            raise self._cold()
        condition = self.condition().within(bounds)
        if not condition.serves:
            told = [trouble.model_dump() for trouble in condition.troubles]
            why = " ".join(f"{t.corpus_id}: {t.detail}" if t.corpus_id else t.detail for t in condition.troubles)
            raise Unavailable(f"No search is answered. {why}", troubles=told)
        return Ready(status="degraded" if condition.troubles else "ready", troubles=tuple(condition.troubles))

    def _cold(self) -> Unavailable:
        problem = self._problem
        if problem is None:
            return Unavailable("The models are being loaded. Try again in a few seconds.")
        return Unavailable(f"The models cannot be loaded: {problem.detail}", cause=problem.code)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._warm()
            except TribridError as error:
                self._problem = error
                _log.warning("The models cannot be loaded: %s", error.detail)
            except OSError as error:  # a disk that is full or may not be written, which can be mended
                self._problem = Unavailable(f"{error.strerror or type(error).__name__}.")
                _log.exception("The models cannot be loaded.")
            else:
                self._ready = True
                break
            self._stopping.wait(self._retry_s)
        while not self._stopping.wait(LOOK_S):
            self._look_after()

    def _look_after(self) -> None:
        try:
            self._mend()
        except TribridError as error:  # the database is away for a while
            _log.warning("Nobody can see whether uploads broke off: %s", error.code)
        except OSError as error:  # a full disk, no file left to open: it passes, and the next look tells
            _log.warning("Nobody can see whether uploads broke off: %s", error.strerror)
