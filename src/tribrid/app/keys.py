"""API keys and what they may do; the rules by which a server lets requests in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribrid.answers.answer import time_at
from tribrid.answers.keys import KeyFacts, NewKey
from tribrid.app.parts import FolderPart
from tribrid.errors import InvalidInput
from tribrid.types import Scope
from tribrid.types.access import ApiKey
from tribrid.types.filters import read_filter
from tribrid.workspace.data_folder import DataFolder

PREFIX = "tribrid"
ID_BYTES, SECRET_BYTES = 6, 32
MAX_NAME_CHARS = 200
PINNED_SCOPES = frozenset({Scope.SEARCH, Scope.FEEDBACK})
"""What a key with a filter may be for: everything else shows, or tells of, documents that it may not find."""


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may call, and how often.

    Attributes:
        keys: those that hold, by id.
        closed: there is or was a key: a request without one is refused.
        requests_per_minute: of one caller; None: nobody set a limit.
    """

    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    closed: bool = False
    requests_per_minute: int | None = None


ANYBODY = AccessRules()


def split_key(key: bytes) -> tuple[str, bytes]:
    """The id and the secret of a key as `create` made it; of anything else, an id that no key has."""
    prefix, _, rest = key.partition(b"_")
    key_id, _, secret = rest.partition(b"_")
    return (key_id.decode("latin-1"), secret) if prefix == PREFIX.encode() else ("", b"")


def rules(folder: DataFolder) -> AccessRules:
    """The rules as they are stored now."""
    keys = folder.store.access.list()
    held = {key.key_id: key for key in keys if key.revoked_us is None}
    return AccessRules(held, bool(keys), folder.config().serving.requests_per_minute)


class Keys(FolderPart):
    """API keys."""

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        corpora: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> NewKey:
        """A new key; its `key` is told here and never again.

        Args:
            scopes: of search, feedback, train, metrics, admin.
            corpora: the only ones that it is for; it can neither list others nor learn of them. None: all.
            filter: the documents that it may find: added to each of its searches. It may only search and tell what
                users did; all else is refused to it. None: all.

        Raises:
            InvalidInput: no scope, an unknown one, or a name that is too long; an empty list of corpora; a filter that
                is none, or one with other scopes than search and feedback.
            CorpusNotFound: it would be bound to one that is not there.
        """
        bound, pinned = self._there(corpora), read_filter(filter)
        _check(name, scopes)
        if pinned is not None and not PINNED_SCOPES.issuperset(scopes):
            raise InvalidInput("filter: a key with one may have the scopes search and feedback, and no other.")
        key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        chosen = [scope for scope in Scope if scope in scopes]
        digest, kept = hashlib.sha256(secret.encode()).hexdigest(), pinned.given if pinned else None
        made = self._folder.store.access.add(key_id, name, chosen, digest, bound, kept)
        return NewKey(**dict(_facts(made)), key=f"{PREFIX}_{key_id}_{secret}")

    def _there(self, corpora: Sequence[str] | None) -> tuple[str, ...] | None:
        if corpora is None:
            return None
        if not corpora:
            raise InvalidInput("corpora: name at least one, or none for a key that is for all.")
        for corpus_id in corpora:
            self._folder.store.corpora.get(corpus_id)
        return tuple(dict.fromkeys(corpora))

    @property
    def first(self) -> bool:
        """Whether a key that is made now would be the first: all who call a server without one are refused then."""
        return self._folder.environment.api_key is None and not self._folder.store.access.list()

    @property
    def may_be_served(self) -> bool:
        """Whether a server may be running: one on this folder has a worker, one elsewhere may share the database."""
        return self._supervisor.health().pid is not None or self._folder.environment.database_url is not None

    def list(self) -> list[KeyFacts]:
        """Every key there ever was, oldest first, without its secret."""
        return [_facts(key) for key in self._folder.store.access.list()]

    def revoke(self, key_id: str) -> KeyFacts:
        """End a key; a running server refuses it within a second or two.

        Raises:
            KeyNotFound.
        """
        return _facts(self._folder.store.access.revoke(key_id))


def _check(name: str, scopes: Sequence[str]) -> None:
    unknown = [scope for scope in scopes if scope not in set(Scope)]
    if unknown or not scopes:
        named = f"{unknown[0]!r} is not one of" if unknown else "name at least one of"
        raise InvalidInput(f"scope: {named} {', '.join(Scope)}.", scope=unknown[0] if unknown else None)
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(f"name: up to {MAX_NAME_CHARS} printable characters.", length=len(name))


def _facts(key: ApiKey) -> KeyFacts:
    return KeyFacts(
        key_id=key.key_id,
        name=key.name,
        scopes=key.scopes,
        corpora=key.corpora,
        filter=None if key.filter is None else dict(key.filter),
        created_at=time_at(key.created_us),
        revoked_at=time_at(key.revoked_us),
    )
