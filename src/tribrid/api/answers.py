"""How an answer leaves: strict JSON in UTF-8.

Written by the handler's own thread: FastAPI's encoder would walk a whole evaluation report on the event loop.
"""

from __future__ import annotations

import json

from starlette.responses import Response


def json_bytes(body: object) -> bytes:
    """Compact JSON. Never holds NaN; a lone surrogate, which UTF-8 cannot hold, becomes a question mark.

    Raises:
        ValueError: the body holds NaN or infinity.
    """
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


class Json(Response):
    """A body made by `json_bytes`."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return json_bytes(content)
