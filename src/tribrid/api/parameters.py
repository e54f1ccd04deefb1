"""Parameters in a URL that a route does not have, or that come twice: refused and named, as such fields of a body are.

Passed over in silence, `?limt=1000` would be answered with 50 rows, `?folow=false` would never end, and of
`?corpus_id=a&corpus_id=b` one would be taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from fastapi import Request
from fastapi.routing import APIRoute

from tribrid.errors import InvalidInput, UnknownSetting

MAX_ECHO_CHARS = 200
_OTHERS = frozenset({"rerank", "operation"})
"""Tags of routes whose clients are not ours: rerank libraries, probes and scrapers may add what they like."""


async def known_parameters(request: Request) -> None:
    """A dependency of every route: pass if it has all parameters that the URL names, and each has one value.

    Raises:
        UnknownSetting: it has not; says which there are.
        InvalidInput: one has several values.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not request.query_params:
        return
    known = [field.alias for field in route.dependant.query_params]
    _refuse_several(request, known)
    if not _OTHERS.isdisjoint(map(str, route.tags)):
        return
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(unknown, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f" There are: {', '.join(known)}." if known else " It takes none."
    name = unknown[:MAX_ECHO_CHARS]
    raise UnknownSetting(f"{name}: This route has no such parameter.{hint}{listed}", field=name)


def _refuse_several(request: Request, known: Sequence[str]) -> None:
    several = next((name for name in known if len(set(request.query_params.getlist(name))) > 1), None)
    if several is not None:
        raise InvalidInput(f"{several}: The URL gives it several values. Give one.", field=several)
