"""The page of findings, made of what each script of findings/ says at its top."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import head

SCRIPTS = Path(__file__).resolve().parents[1] / "findings"
_COMMENT = re.compile(r"^#!.*\n((?:#.*\n)+)")


@dataclass(frozen=True)
class Finding:
    """What a script says: the library and what it does; what was seen; what Tribrid does about it."""

    name: str
    what: str
    seen: str
    tribrid: str


def findings() -> list[Finding]:
    """Every script's, by name.

    Raises:
        ValueError: one does not say all three.
    """
    return [_read(path) for path in sorted(SCRIPTS.glob("*.sh"))]


def _read(path: Path) -> Finding:
    comment = _COMMENT.match(path.read_text("utf-8"))
    text = " ".join(line.removeprefix("#").strip() for line in (comment[1] if comment else "").splitlines())
    parts = re.fullmatch(r"(.+?) Seen: (.+?) Tribrid: (.+)", " ".join(text.split()))
    if parts is None:
        raise ValueError(f"{path.name}: its first comment says what it is about, then `Seen:`, then `Tribrid:`.")
    return Finding(path.name, *parts.groups())


def page() -> Iterator[str]:
    """What surprised us in other libraries, on valid input."""
    yield from head("Findings", "")
    yield (
        "What surprised us in libraries that Tribrid or its users use, on valid input. Each has a script that installs "
        "the versions it names in a folder of its own, shows the behaviour without Tribrid, and fails once it is "
        "another: `bash findings/NAME.sh`."
    )
    for finding in findings():
        yield f"## [{finding.name.removesuffix('.sh')}](../findings/{finding.name})"
        yield finding.what
        yield f"**Seen.** {finding.seen[0].upper()}{finding.seen[1:]}"
        yield f"**What Tribrid does.** {finding.tribrid[0].upper()}{finding.tribrid[1:]}"
