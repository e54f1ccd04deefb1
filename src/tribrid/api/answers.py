"""How an answer leaves: strict JSON in UTF-8.

Written by the handler's own thread: FastAPI's encoder would walk a whole evaluation report on the event loop.
"""

from __future__ import annotations

import json

from pydantic import BaseModel
from starlette.responses import Response


def json_bytes(body: object) -> bytes:
    """Compact JSON, of a model too. It never holds NaN; half of a surrogate pair, which UTF-8 cannot hold, becomes "?".

    Raises:
        ValueError: the body holds NaN or infinity.
    """
    body = body.model_dump(mode="json") if isinstance(body, BaseModel) else body
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


class Json(Response):
    """A body made by `json_bytes`."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return json_bytes(content)
