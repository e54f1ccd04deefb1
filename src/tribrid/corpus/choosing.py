"""Which files of a folder are wanted: what git would ignore is not, and what the caller leaves out.

All patterns are those of a .gitignore, relative to the folder they stand in. Of several that speak of a file the last
holds, and the one in the nearest folder; nothing below a folder that is left out comes back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from tribrid.errors import InvalidInput

IGNORE_FILE = ".gitignore"
_MAX_IGNORE_BYTES = 1 << 20
# A line with more is passed over: the time to match one grows with the length of a name to the power of their number.
_MAX_WILDCARDS = 5
_WILDCARD = re.compile(r"\*+")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a caller wants of a folder.

    Attributes:
        include: patterns of files; none: all.
        exclude: patterns of files and folders.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


ALL = Choice()
_INCLUDED = "included"


class _Rules:
    """The patterns of one place."""

    def __init__(self, base: Path, lines: Iterable[str], told: str, prefix: str = "") -> None:
        """Take what paths below `base` are matched against, with what is put before them from there."""
        self._base, self._prefix, self._told = base, prefix, told
        self._spec = GitIgnoreSpec.from_lines(lines)

    def verdict(self, path: Path, folder: bool) -> str | None:
        """Why it is left out; empty where a pattern takes it back; None where none speaks of it."""
        name = path.relative_to(self._base).as_posix()
        found = self._spec.check_file(f"{self._prefix}{name}{'/' if folder else ''}").include
        return None if found is None else self._told if found else ""

    @property
    def leave_out_base(self) -> bool | None:
        """Whether they leave out the folder whose paths they are matched against; None: they do not speak of it."""
        return self._spec.check_file(self._prefix).include


class Chooser:
    """Says of each file and folder below a root why it is left out, if it is."""

    def __init__(self, root: Path, choice: Choice = ALL) -> None:
        """Read the rules of the folders above.

        Raises:
            InvalidInput: a pattern is none.
        """
        self._root = root
        self._wanted = _asked(root, choice.include, "include", _INCLUDED) if choice.include else None
        self._unwanted = _asked(root, choice.exclude, "exclude", "excluded")
        self._above = _rules_above(root)
        self._below: dict[Path, _Rules | None] = {}

    def left_out(self, path: Path, folder: bool) -> str | None:
        """Why a file or folder is left out; None: it is wanted. Its own folder must be."""
        if excluded := self._unwanted.verdict(path, folder):
            return excluded
        if self._wanted is not None and not folder and not self._wanted.verdict(path, folder):
            return "not included"
        for rules in self._nearest_first(path):
            verdict = rules.verdict(path, folder)
            if verdict is not None:
                return verdict or None
        return None

    def _nearest_first(self, path: Path) -> Iterator[_Rules]:
        for place in path.parents:
            if place not in self._below:
                self._below[place] = _ignored_by(place, place)
            rules = self._below[place]
            if rules is not None:
                yield rules
            if place == self._root:
                break
        yield from self._above


def _asked(root: Path, patterns: Sequence[str], field: str, told: str) -> _Rules:
    try:
        return _Rules(root, patterns, told)
    except (ValueError, re.error) as error:
        raise InvalidInput(f"{field}: not a pattern as of a {IGNORE_FILE}: {error}", field=field) from None


def _ignored_by(place: Path, base: Path, prefix: str = "") -> _Rules | None:
    """The rules of a folder's own file; one that cannot be read says nothing, and neither does a line that is none."""
    path = place / IGNORE_FILE
    try:
        if path.stat().st_size > _MAX_IGNORE_BYTES:
            return None
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return _Rules(base, filter(_is_pattern, lines), IGNORE_FILE, prefix)


def _is_pattern(line: str) -> bool:
    if len(_WILDCARD.findall(line)) > _MAX_WILDCARDS:
        return False
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _rules_above(root: Path) -> list[_Rules]:
    """Those of the folders above, the nearest first, up to the repository's. None where they leave out the root itself,
    for it was named, nor where it is in no repository.
    """
    place = root.resolve()
    above = [] if _is_repository(place) else list(place.parents)
    end = next((at for at, folder in enumerate(above) if _is_repository(folder)), -1)
    found = (_ignored_by(folder, root, f"{place.relative_to(folder).as_posix()}/") for folder in above[: end + 1])
    rules = [one for one in found if one is not None]
    named = next((left_out for one in rules if (left_out := one.leave_out_base) is not None), False)
    return [] if named else rules


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists()
