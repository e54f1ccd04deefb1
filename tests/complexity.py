"""How complex each function is, with comprehensions and boolean operators counted, and which are above the limit.

    python tests/complexity.py            what differs from the list
    python tests/complexity.py --write    write the list anew

ruff's C90 does not see comprehensions, `and` and `or`; radon counts each of them as a branch. Functions that were above
the limit when the rule came are in `complexity.json`, each with its number. That list may only shrink.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from radon.visitors import Class, ComplexityVisitor, Function

ROOT = Path(__file__).resolve().parents[1]
LISTED = Path(__file__).with_suffix(".json")
LIMIT = 10


def functions(blocks: Iterable[Function | Class]) -> Iterator[Function]:
    """Every function, those inside classes and functions too."""
    for block in blocks:
        if isinstance(block, Class):
            yield from functions([*block.methods, *block.inner_classes])
        else:
            yield block
            yield from functions(block.closures)


def too_complex(name: str, source: str) -> dict[str, int]:
    """Each function above the limit by `file function`, with its complexity.

    A test's assertions are not branches. Of two functions with one name the more complex counts.
    """
    visited = ComplexityVisitor.from_code(source, no_assert=True)
    over: dict[str, int] = {}
    for function in functions([*visited.functions, *visited.classes]):
        if function.complexity > LIMIT:
            key = f"{name} {function.fullname}"
            over[key] = max(function.complexity, over.get(key, 0))
    return over


def measured(paths: Iterable[Path]) -> dict[str, int]:
    return {
        key: complexity
        for path in paths
        for key, complexity in too_complex(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")).items()
    }


def listed() -> dict[str, int]:
    """The functions that may be above the limit, and by how much."""
    stored: dict[str, int] = json.loads(LISTED.read_text("utf-8"))
    return stored


def differences(now: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """What became worse and what became better without the list saying so."""
    found = []
    for name in sorted({*now, *allowed}):
        is_now, was = now.get(name), allowed.get(name)
        if was is None:
            found.append(f"{name}: {is_now}, the limit is {LIMIT}; make it simpler")
        elif is_now is None:
            found.append(f"{name}: no longer above {LIMIT}, or gone; take it off the list")
        elif is_now > was:
            found.append(f"{name}: {is_now}, was {was}; make it simpler again")
        elif is_now < was:
            found.append(f"{name}: {is_now}, was {was}; write the new number into the list")
    return found


def python_files() -> list[Path]:
    return sorted(
        path for folder in ("src", "tests", "benchmarks", "packages") for path in (ROOT / folder).rglob("*.py")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Functions above the complexity limit.")
    parser.add_argument("--write", action="store_true", help=f"write {LISTED.name} anew")
    arguments = parser.parse_args()
    now = measured(python_files())
    if arguments.write:
        LISTED.write_text(json.dumps(now, indent=2) + "\n", "utf-8")
    print("\n".join(differences(now, listed())) or f"{len(now)} functions, as listed")  # noqa: T201


if __name__ == "__main__":
    main()
