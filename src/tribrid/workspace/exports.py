"""Exports of base models for serving: in a folder of this machine, and in the object store where there is one. So a
machine without torch serves what another has exported.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path

from tribrid.encoders.models import Role, ensure_export, export_prefix, staged
from tribrid.encoders.variants import MANIFEST
from tribrid.errors import MissingExtra, ModelUnavailable, StorageUnavailable
from tribrid.store.objects import Objects

_PREFIX = "models/"
_SHARED = "shared"
"""In an export's folder: the address where it also is."""
_log = logging.getLogger(__name__)


class Exports:
    """See the module. Safe for threads and processes."""

    def __init__(self, folder: Path, objects: Objects | None) -> None:
        self._folder, self._objects = folder, objects
        self._lock = threading.Lock()

    def ensure(self, model: str, role: Role) -> Path:
        """The folder of a model's export: the one here, or that of the object store, or made now.

        Raises:
            MissingExtra, ModelUnavailable: as `ensure_export`.
            StorageUnavailable: it may be in the object store, which cannot be reached.
        """
        if self._objects is None:
            return ensure_export(self._folder, model, role)
        try:
            found = ensure_export(self._folder, model, role)
        except (MissingExtra, ModelUnavailable):
            if not self._fetch(export_prefix(model, role), self._objects):
                raise
            found = ensure_export(self._folder, model, role)
        self._share(found, self._objects)
        return found

    def _share(self, export: Path, objects: Objects) -> None:
        """Put it where other machines find it. One that cannot be put there serves here all the same."""
        mark = export / _SHARED
        with self._lock, suppress(OSError):  # a folder that may only be read
            if mark.is_file() and mark.read_text("utf-8") == objects.address:
                return
            try:
                self._put(export, objects)
                mark.write_text(objects.address, "utf-8")
            except StorageUnavailable as error:
                _log.warning("The export %s is not where other machines find it: %s", export.name, error.detail)

    def _put(self, export: Path, objects: Objects) -> None:
        key = f"{_PREFIX}{export.name}/"
        files = {f"{key}{path.relative_to(export).as_posix()}": path for path in _files(export)}
        if f"{key}{MANIFEST}" in objects.sizes(key):
            return
        last = files.pop(f"{key}{MANIFEST}")
        objects.put_all(files.items())
        objects.put(f"{key}{MANIFEST}", last)  # who finds it finds the others

    def _fetch(self, prefix: str, objects: Objects) -> bool:
        """Fetch the exports of this name that are not here; whether there was one."""
        exports: dict[str, dict[str, int]] = {}
        for key, size in objects.sizes(_PREFIX).items():
            name, _, file = key.removeprefix(_PREFIX).partition("/")
            if name.startswith(prefix):
                exports.setdefault(name, {})[file] = size
        whole = {name: files for name, files in exports.items() if MANIFEST in files}
        for name, files in whole.items():
            if not (self._folder / name).exists():
                self._fetch_one(name, files, objects)
        return bool(whole)

    def _fetch_one(self, name: str, files: dict[str, int], objects: Objects) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with staged(self._folder / name) as folder:
            wanted = [(f"{_PREFIX}{name}/{file}", size, folder / file) for file, size in files.items()]
            for _, _, target in wanted:
                target.parent.mkdir(parents=True, exist_ok=True)
            objects.fetch_all(wanted)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != _SHARED]
