"""Runs a program with Tribrid's packages from their folders, as if they were installed.

python tests/clients/joined.py program.py [arguments]
python tests/clients/joined.py -m pytest [arguments]
"""

from __future__ import annotations

import pkgutil
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
# An installation puts all of a name in one folder; here they are in two.
SHARED = ("llama_index.postprocessor", "haystack_integrations.components.rankers")


def join() -> None:
    for package in PACKAGES:
        sys.path.insert(0, str(package / "src" if (package / "src").is_dir() else package))
    for name in SHARED:
        parts = name.split(".")
        for upto in range(1, len(parts) + 1):
            module = __import__(".".join(parts[:upto]), fromlist=["x"])
            module.__path__ = pkgutil.extend_path(list(module.__path__), module.__name__)


def main() -> None:
    join()
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
