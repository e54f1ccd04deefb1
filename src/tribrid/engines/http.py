"""JSON to and from an engine's HTTP address. As for all outside services: no redirect is followed, no proxy of the
environment is used, a name that leads to a metadata service is not asked, and the key is in no error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tribrid.cloud.line import fits_a_header
from tribrid.errors import InvalidInput, NotFound, Unavailable

TIMEOUT_S = 60
MAX_ANSWER_BYTES = 512 << 20
_SAID_CHARS = 200


class Engine:
    """One address. Close it, or use it in a `with`."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        """Sends nothing yet.

        Raises:
            InvalidInput: it is no address, or the key cannot stand in a header (and is not quoted).
        """
        import httpx

        from tribrid.cloud.resolved import Resolved

        self._secrets = [value.rpartition(" ")[2] for value in headers.values()]
        if not all(map(fits_a_header, self._secrets)):
            raise InvalidInput("TRIBRID_PULL_KEY has a space or a character that no header may hold.")
        try:
            self._http = httpx.Client(
                base_url=address,
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                follow_redirects=False,
                trust_env=False,
                timeout=TIMEOUT_S,
                transport=Resolved(),
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InvalidInput(f"The source is no address: {error}.", field="source") from None
        self._host = self._http.base_url.netloc.decode("ascii")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """The JSON of a success.

        Raises:
            NotFound: there is no such index or collection, or no longer such a scroll.
            InvalidInput: the engine refuses the request; says what it says.
            Unavailable: it cannot be reached, wants another key, or answers what is no JSON object.
        """
        content = json.dumps(body).encode("ascii")
        headers = {"Content-Type": "application/json"}
        with self._mapped(), self._http.stream(method, path, content=content, headers=headers) as response:
            answer = bytearray()
            for chunk in response.iter_raw():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise Unavailable(f"pull: {self._host} answers with more than {MAX_ANSWER_BYTES:,} bytes.")
        if not response.is_success:
            raise self._refused(response.status_code, bytes(answer[:10_000]))
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable(f"pull: {self._host} answers with what is no JSON object: is it such an engine?")
        return found

    def _refused(self, status: int, answer: bytes) -> Exception:
        said = answer.decode("utf-8", "replace")
        for secret in self._secrets:
            said = said.replace(secret, "***")
        said = "".join(c if c.isprintable() else " " for c in said[:_SAID_CHARS]).strip()
        if status in (401, 403):
            wanted = "another key than TRIBRID_PULL_KEY has" if self._secrets else "a key: set TRIBRID_PULL_KEY"
            return Unavailable(f"pull: {self._host} wants {wanted} (status {status}).")
        if status == 404:
            return NotFound(f"pull: {self._host} has none of it: {said}")
        kind = InvalidInput if 400 <= status < 500 and status not in (408, 429) else Unavailable
        return kind(f"pull: {self._host} answers with status {status}: {said}")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        import httpx

        from tribrid.cloud.resolved import NeverAsked

        try:
            yield
        except NeverAsked as error:
            raise InvalidInput(f"pull: {error}, which is never asked.", field="source") from None
        except httpx.TransportError as error:
            raise Unavailable(f"pull: {self._host} cannot be reached: {type(error).__name__}.") from None


class Form(BaseModel):
    """What of an engine's answer is read."""

    model_config = ConfigDict(strict=True)


_Form = TypeVar("_Form", bound=Form)


def formed(answer: object, form: type[_Form], engine: str) -> _Form:
    """An answer in its form.

    Raises:
        Unavailable: it is in another one.
    """
    try:
        return form.model_validate(answer)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise Unavailable(f"pull: the answer is not as {engine} gives it: {where}. Is this {engine}?") from None


def since_value(since: str) -> float | int | str:
    """As JSON has it: a number if it is one."""
    try:
        value = json.loads(since)
    except ValueError:
        return since
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else since
