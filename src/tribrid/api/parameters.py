"""Parameters in a URL that a route does not have: refused and named, as unknown fields of a body are.

Passed over in silence, `?limt=1000` would be answered with 50 rows, and `?folow=false` would never end.
"""

from __future__ import annotations

import difflib

from fastapi import Request
from fastapi.routing import APIRoute

from tribrid.errors import UnknownSetting

MAX_ECHO_CHARS = 200
_OTHERS = frozenset({"rerank", "operation"})
"""Tags of routes whose clients are not ours: rerank libraries, probes and scrapers may add what they like."""


async def known_parameters(request: Request) -> None:
    """A dependency of every route: pass if it has all parameters that the URL names.

    Raises:
        UnknownSetting: it has not; says which there are.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not request.query_params or not _OTHERS.isdisjoint(map(str, route.tags)):
        return
    known = [field.alias for field in route.dependant.query_params]
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(unknown, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f" There are: {', '.join(known)}." if known else " It takes none."
    name = unknown[:MAX_ECHO_CHARS]
    raise UnknownSetting(f"{name}: This route has no such parameter.{hint}{listed}", field=name)
