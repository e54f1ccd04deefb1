"""What the library's errors advise, in the words of the command line: a command where they name an HTTP route.

The library's messages are read by who calls the API too. This is the one place that knows which command does what a
route does.
"""

from __future__ import annotations

import re

_COMMANDS = {
    "GET /config": "tribrid config",
    "GET /ready": "tribrid doctor",
    "GET /reranker/models": "tribrid models CORPUS",
    "GET /reranker/train/runs": "tribrid runs",
    "GET /reranker/triplets": "tribrid triplets CORPUS",
    "POST /corpora": "tribrid index",
    "POST /reranker/mine": "tribrid mine CORPUS",
    "PUT /corpora/CORPUS/eval_dataset": "tribrid evalset put CORPUS",
}
_CORPUS = re.compile(r"(?<=/corpora/)[^/\s]+")
_COMMAND = r"`tribrid [^`]+`"
_ROUTE = r"(?:GET|POST|PUT|PATCH|DELETE) /[^\s,;:?!`]*[\w}]"
# Where a message names both, the command is left.
_SAID = re.compile(rf"(?P<before>{_COMMAND}),? or {_ROUTE}|{_ROUTE},? or (?P<after>{_COMMAND})|(?P<alone>{_ROUTE})")


def spoken(detail: str) -> str:
    """An error's detail as the command line says it."""
    return _SAID.sub(_said, detail)


def _said(found: re.Match[str]) -> str:
    return found["before"] or found["after"] or _command(found["alone"])


def _command(route: str) -> str:
    corpus = _CORPUS.search(route)
    command = _COMMANDS.get(_CORPUS.sub("CORPUS", route))
    if command is None:
        return route
    return f"`{command.replace('CORPUS', corpus[0]) if corpus else command}`"
