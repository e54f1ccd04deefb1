"""The version, where every layer can read it, and which code exactly bears it."""

import hashlib
from functools import cache
from pathlib import Path

__version__ = "0.1.0"


@cache
def source_sha256() -> str:
    """sha256 (hex) over the package's source files: tells two states of one version apart."""
    package = Path(__file__).parent
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        whole.update(f"{path.relative_to(package).as_posix()} ".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
