"""One request of a person: who he is, what he may do, and the pages he is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tribrid.api.auth import Caller, caller_of
from tribrid.api.facade import Facade
from tribrid.api.sessions import COOKIE, Sessions, is_token
from tribrid.app import Tribrid
from tribrid.errors import Forbidden
from tribrid.report.templates import Templates
from tribrid.studio import words
from tribrid.studio.files import address
from tribrid.types import Scope

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TEMPLATES = Templates("tribrid.studio", **words.FILTERS)


class Visit:
    """See the module.

    Attributes:
        tribrid: the library, as the visitor's key may see it.
    """

    def __init__(self, request: Request, tribrid: Tribrid) -> None:
        self.request, self.tribrid = request, tribrid
        self.caller: Caller = caller_of(request)

    def may(self, *scopes: str) -> bool:
        """Whether the visitor's key has one of these scopes, or may do everything."""
        return self.caller.may(*map(Scope, scopes))

    def require(self, *scopes: str) -> None:
        """For what a form does beside what its own scope is for.

        Raises:
            Forbidden: the visitor's key has none of these scopes.
        """
        if not self.may(*scopes):
            raise Forbidden(f"This wants a key with the scope {' or '.join(scopes) or Scope.ADMIN}.")

    @property
    def free(self) -> bool:
        """Whether the key is for all corpora."""
        return self.caller.corpora is None

    def page(self, template: str, *, code: int = 200, **names: object) -> HTMLResponse:
        """A page of a template, with what every page has."""
        return draw(self.request, template, code=code, visit=self, **names)

    @property
    def swapped(self) -> bool:
        """Whether a script asked, which wants a piece of the page."""
        return self.request.headers.get("hx-request") == "true"


def draw(request: Request, template: str, *, code: int = 200, **names: object) -> HTMLResponse:
    """A page, also for who is not known. Gives him a cookie if he has none, so that the page's forms can be sent."""
    token = request.cookies.get(COOKIE, "")
    new = not is_token(token)
    sessions: Sessions = request.app.state.sessions
    token = sessions.visit() if new else token
    shown = {
        "visit": None,
        "corpus": None,
        "here": "",
        "said": words.DONE.get(request.query_params.get("done", "")),
        "form_token": sessions.form_token(token),
        "signed_in": sessions.holder(token) is not None,
        "now": datetime.now(UTC),
        "static": address,
        "path": request.scope["path"],
    }
    made = HTMLResponse(_TEMPLATES.render(template, **(shown | names)), code, HEADERS)
    if new:
        give_cookie(request, made, token)
    return made


def give_cookie(request: Request, response: Response, token: str) -> None:
    """Let the browser keep a session, for this server alone."""
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="strict", secure=secure)


def link(*parts: str, **query: object) -> str:
    """The address of a page: its parts, and what it is to show; what is empty is left out."""
    path = "/studio/" + "/".join(quote(part, safe="") for part in parts)
    asked = {name: value for name, value in query.items() if value not in (None, "", [])}
    return f"{path}?{urlencode(asked, doseq=True)}" if asked else path


def lead(*parts: str, done: str = "", fragment: str = "", **query: object) -> RedirectResponse:
    """Lead on to a page after a form was acted on.

    Args:
        done: what was done, by its name in `words.DONE`.
    """
    to = link(*parts, **query, done=done) + (f"#{fragment}" if fragment else "")
    return RedirectResponse(to, status_code=303, headers={"Cache-Control": "no-store"})


def _visit(request: Request, tribrid: Facade) -> Visit:
    return Visit(request, tribrid)


Here = Annotated[Visit, Depends(_visit)]
"""What a page is made with."""
