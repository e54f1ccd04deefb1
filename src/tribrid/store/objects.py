"""An object store by its address, `s3://bucket/folder` or what else obstore knows: the only file that imports obstore.

Objects are written once, under names that nobody had before, so that no writer can harm what another has published;
what is whole is said by who names them. No call waits for ever: a store that is not there is Unavailable within a
minute. Credentials and endpoint come from variables of the store's own, as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tribrid.errors import InvalidInput, MissingExtra, StorageUnavailable
from tribrid.private import opener

PIECE_BYTES = 8 * 2**20
"""What one request reads: so that its time is bounded whatever a file's size."""
_AT_ONCE = 8
_CONNECT_S, _REQUEST_S, _RETRIES = 3, 20, 2
_PROBE_S = 2
_ABSENT = "tribrid/nothing"
MAX_SAID_CHARS = 200
T = TypeVar("T")


class Objects:
    """The objects below one address. Safe for threads."""

    def __init__(self, address: str) -> None:
        """Reaches nothing yet.

        Raises:
            InvalidInput: the address is none that an object store has.
            MissingExtra: obstore is not installed.
        """
        self.address = address
        self._store = _opened(address, _REQUEST_S, _RETRIES)
        self._probe = _opened(address, _PROBE_S, 0)

    def put(self, key: str, content: Path | bytes) -> None:
        """Write an object.

        Raises:
            StorageUnavailable: as every method: the store cannot be reached, or refuses.
        """
        with _mapped(self.address):
            self._store.put(key, content)

    def put_all(self, files: Iterable[tuple[str, Path]]) -> None:
        """Write many, some at once."""
        self._each(lambda pair: self.put(*pair), files)

    def get(self, key: str) -> bytes:
        """A small object's content.

        Raises:
            FileNotFoundError: there is none.
        """
        with _mapped(self.address):
            return bytes(self._store.get(key).bytes())

    def fetch(self, key: str, size: int, target: Path) -> None:
        """Write an object's content to a file of its owner's alone; what is there is replaced at once.

        Args:
            size: of the object, bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        staged = target.with_name(f"{target.name}.{os.getpid()}.fetched")
        try:
            with open(staged, "wb", opener=opener) as file:
                for start in range(0, size, PIECE_BYTES):
                    with _mapped(self.address):
                        length = min(PIECE_BYTES, size - start)
                        file.write(self._store.get_range(key, start=start, length=length))
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)

    def fetch_all(self, files: Iterable[tuple[str, int, Path]]) -> None:
        """Fetch many, some at once.

        Raises:
            FileNotFoundError: one is not there.
        """
        self._each(lambda wanted: self.fetch(*wanted), files)

    def sizes(self, prefix: str) -> dict[str, int]:
        """Every object below a folder by its key, with its bytes."""
        with _mapped(self.address):
            return {found["path"]: found["size"] for some in self._store.list(prefix) for found in some}

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are no error."""
        if keys:
            with _mapped(self.address):
                self._store.delete(list(keys))

    def check(self) -> None:
        """Pass if the store answers, within some seconds."""
        try:
            with _mapped(self.address):
                self._probe.head(_ABSENT)
        except FileNotFoundError:
            return

    def _each(self, do: Any, items: Iterable[T]) -> None:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="objects") as pool:
            for done in [pool.submit(partial(do, item)) for item in items]:
                done.result()


def _opened(address: str, request_s: int, retries: int) -> Any:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise MissingExtra("obstore", "storage", "An object store") from error
    options: Any = {"connect_timeout": f"{_CONNECT_S}s", "timeout": f"{request_s}s", "allow_http": True}
    retry: Any = {"max_retries": retries, "retry_timeout": timedelta(seconds=request_s)}
    try:
        if address.startswith("file:"):
            return from_url(address, mkdir=True)
        return from_url(address, client_options=options, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise InvalidInput(
            f"TRIBRID_STORAGE_URL: {address!r} is not the address of an object store, such as s3://bucket/folder "
            f"({_said(error)}).",
            setting="storage_url",
        ) from None


@contextmanager
def _mapped(address: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StorageUnavailable(f"There is no bucket {address}: make it.", address=address) from error
        raise
    except (BaseError, PermissionError) as error:
        raise StorageUnavailable(
            f"The object store {address} cannot be used: {_said(error)}", address=address
        ) from error


def _said(error: Exception) -> str:
    """What the library says is wrong, without the request's address and its own debugging text."""
    return str(error).partition("\n")[0].rpartition(" - ")[2][:MAX_SAID_CHARS].rstrip(". ") + "."
