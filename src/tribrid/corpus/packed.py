"""What is packed, unpacked up to a limit: a few kilobytes can hold gigabytes."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from tribrid.corpus.contents import Unreadable

DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError)
"""What zipfile raises of a file that it cannot read."""
_BLOCK_BYTES = 1 << 16


def gunzipped(data: bytes, max_bytes: int) -> bytes:
    """The content of a gzip file.

    Raises:
        Unreadable: it is none, is damaged, or unpacks to more than `max_bytes`.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            found = packed.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"not a readable gzip file: {error}") from None
    if len(found) > max_bytes:
        raise _too_large(max_bytes)
    return found


class Parts:
    """The parts of a zip file, of which no more than so many bytes are unpacked in all."""

    def __init__(self, packed: zipfile.ZipFile, max_bytes: int) -> None:
        self._packed, self._max_bytes, self._left = packed, max_bytes, max_bytes

    def __contains__(self, name: str) -> bool:
        return name in self._packed.NameToInfo

    def read(self, name: str) -> bytes:
        """A part's content.

        Raises:
            Unreadable: the parts read are larger than allowed together.
            KeyError: there is no such part.
        """
        # What the file says of its size is not believed.
        held = bytearray()
        with self._packed.open(name) as part:
            while block := part.read(min(_BLOCK_BYTES, self._left + 1)):
                held += block
                self._left -= len(block)
                if self._left < 0:
                    raise _too_large(self._max_bytes)
        return bytes(held)


@contextmanager
def unzipped(data: bytes, max_bytes: int, what: str) -> Iterator[Parts]:
    """The parts of a zip file.

    Args:
        max_bytes: unpacked at most, of all parts together.
        what: the file is meant to be, for the reason.

    Raises:
        Unreadable: it is none, is damaged, or unpacks to more than `max_bytes`; also from within.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            yield Parts(packed, max_bytes)
    except DAMAGED_ZIP as error:
        raise Unreadable(f"not a readable {what}: {error}") from None


def _too_large(max_bytes: int) -> Unreadable:
    return Unreadable(f"unpacks to more than {max_bytes:,} bytes")
