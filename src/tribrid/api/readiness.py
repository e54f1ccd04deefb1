"""Loads the models in the background once the server listens, so that the first search is as fast as the next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tribrid.errors import TribridError, Unavailable

RETRY_S = 30.0
_log = logging.getLogger(__name__)


class Readiness:
    """Whether the models are warm. What keeps them cold may be mended while the server runs, so it tries again."""

    def __init__(self, warm: Callable[[], None], *, retry_s: float = RETRY_S) -> None:
        self._warm = warm
        self._retry_s = retry_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warm-up", daemon=True)
        self._ready = False
        self._problem: TribridError | None = None

    @property
    def ready(self) -> bool:
        return self._ready

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Try no more. A loading that is under way is left to itself."""
        self._stopping.set()

    def check(self) -> None:
        """Pass if the models are loaded.

        Raises:
            Unavailable: not yet, or not at all, and why.
        """
        if self._ready:
            return
        problem = self._problem
        if problem is None:
            raise Unavailable("The models are being loaded. Try again in a few seconds.")
        raise Unavailable(f"The models cannot be loaded: {problem.detail}", cause=problem.code)

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
                return
            self._stopping.wait(self._retry_s)
