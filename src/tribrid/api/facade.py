"""What a handler is given: the app's one `Tribrid`, as the caller's key may see it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from tribrid.api.auth import caller_of
from tribrid.app import Tribrid


async def _facade(request: Request) -> Tribrid:
    tribrid: Tribrid = request.app.state.tribrid
    corpora = caller_of(request).corpora
    return tribrid if corpora is None else tribrid.bound_to(corpora)


Facade = Annotated[Tribrid, Depends(_facade)]
