"""Writes the types of packages/tribrid-typescript from the server's OpenAPI document, by openapi-typescript.

python tests/clients/typescript/generate.py          # what makes them is in .npm-clients: `make clients`
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tribrid.api.server import create_app
from tribrid.app import Tribrid
from tribrid.config import read_environment

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / ".npm-clients" / "node_modules" / ".bin"
TYPES = ROOT / "packages" / "tribrid-typescript" / "src" / "openapi.ts"


def document(data_dir: Path) -> dict[str, Any]:
    """What a server with settings as they are says of itself."""
    with Tribrid(data_dir, environment=read_environment({})) as tribrid:
        return create_app(tribrid).openapi()


def types(told: dict[str, Any], folder: Path) -> str:
    """The document as TypeScript. A field of a body that has a default may be left out."""
    (folder / "openapi.json").write_text(json.dumps(told), "utf-8")
    command = "openapi-typescript openapi.json --output openapi.ts --default-non-nullable false"
    subprocess.run(
        [str(TOOLS / command.split()[0]), *command.split()[1:]],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return (folder / "openapi.ts").read_text("utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        TYPES.write_text(types(document(Path(folder) / "data"), Path(folder)), "utf-8")


if __name__ == "__main__":
    main()
