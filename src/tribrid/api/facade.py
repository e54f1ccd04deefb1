"""What a handler is given: the app's one `Tribrid`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from tribrid.app import Tribrid


async def _facade(request: Request) -> Tribrid:
    tribrid: Tribrid = request.app.state.tribrid
    return tribrid


Facade = Annotated[Tribrid, Depends(_facade)]
