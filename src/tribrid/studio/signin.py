"""Sign in with an API key, and out. The key goes from the form to the guard, and nowhere else."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from tribrid.api.auth import Guard
from tribrid.api.forms import Posted
from tribrid.api.pages import HOME, SIGN_IN, is_page
from tribrid.api.sessions import COOKIE
from tribrid.errors import Unauthorized
from tribrid.studio.visit import draw, give_cookie

router = APIRouter()
inside = APIRouter()


@router.get(SIGN_IN)
def form(request: Request, next: str = HOME) -> Response:
    """The form; on a server without keys nobody needs it."""
    guard: Guard = request.app.state.guard
    if not guard.closed:
        return RedirectResponse(HOME, 303)
    return draw(request, "signin.html", next=_inside(next), fault=None)


@router.post(SIGN_IN)
def sign_in(request: Request, form: Posted) -> Response:
    """Open a session, and lead to the page that was asked for."""
    guard: Guard = request.app.state.guard
    wanted = _inside(form.text("next"))
    try:
        token = guard.sign_in(form.text("key"))
    except Unauthorized as error:
        return draw(request, "signin.html", code=401, next=wanted, fault=error.detail)
    made = RedirectResponse(wanted, 303, {"Cache-Control": "no-store"})
    give_cookie(request, made, token)
    return made


@inside.post("/studio/sign-out")
def sign_out(request: Request) -> Response:
    """End the session, here and in the browser."""
    guard: Guard = request.app.state.guard
    guard.sessions.close(request.cookies.get(COOKIE, ""))
    made = RedirectResponse(SIGN_IN + "?done=signed-out", 303, {"Cache-Control": "no-store"})
    made.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return made


def _inside(address: str) -> str:
    """The address if it is one of the pages, else home: nobody is led elsewhere by a link."""
    path = address.partition("?")[0]
    return address if is_page(path) and not address.startswith("//") and "\\" not in address else HOME
