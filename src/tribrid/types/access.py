"""Who may call, and for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tribrid.types import Scope


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key. `digest`: sha256 (hex) of its secret, which is nowhere; `corpora`: those it is for; None: all. `filter`:
    the documents that it may find, as JSON; None: all.
    """

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    digest: str = field(repr=False)
    created_us: int
    revoked_us: int | None = None
    corpora: tuple[str, ...] | None = None
    filter: Mapping[str, Any] | None = None
