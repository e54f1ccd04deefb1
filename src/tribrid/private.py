"""Folders and files that are their owner's alone, whatever the umask: they hold what people searched for."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER, FILE = 0o700, 0o600
UMASK = 0o077
"""Of a process that writes nothing for others."""
_OTHERS = 0o077


def own_folder(folder: Path) -> None:
    """Make the folder and those above it that are missing; one that is there and ours is closed to others."""
    if folder.is_dir():
        close(folder, FOLDER)
        return
    if not folder.parent.exists():
        own_folder(folder.parent)
    folder.mkdir(mode=FOLDER, exist_ok=True)


def own_contents(folder: Path) -> None:
    """Close to others what a library wrote below this folder. What goes meanwhile is passed over."""
    for at, _, files in os.walk(folder):
        close(Path(at), FOLDER)
        for name in files:
            close(Path(at, name), FILE)


def close(path: Path, mode: int) -> None:
    """Give a folder or file of ours this mode, if others may do anything with it."""
    try:
        found = path.lstat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS and not path.is_symlink():
            path.chmod(mode)
    except FileNotFoundError:
        return  # a writer of the index removes what it merged


def opener(path: str, flags: int) -> int:
    """For `open`: a file that is made is its owner's alone."""
    return os.open(path, flags, FILE)
