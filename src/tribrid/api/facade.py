"""What a handler is given: the app's one `Tribrid`, as the caller's key may see it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from tribrid.api.auth import Caller, caller_of
from tribrid.app import Tribrid


async def _facade(request: Request) -> Tribrid:
    return as_seen_by(caller_of(request), request.app.state.tribrid)


def as_seen_by(caller: Caller, tribrid: Tribrid) -> Tribrid:
    """The library as the caller's key may see it."""
    unbound = caller.corpora is None and caller.pinned is None
    return tribrid if unbound else tribrid.bound_to(caller.corpora, caller.pinned)


Facade = Annotated[Tribrid, Depends(_facade)]
