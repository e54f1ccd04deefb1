"""How large an installation of Tribrid is, by package, and that it serves without torch and extras.

    python benchmarks/install_size.py [--extra train] [--keep FOLDER]

Installs this source tree with the versions of constraints.txt. Sizes are of files (MB, 10^6 bytes), compiled byte code
included, pip itself not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BAR_MB = 700
MEASURE = """
import importlib.metadata as metadata, json
sizes = {}
for found in metadata.distributions():
    files = [found.locate_file(file) for file in found.files or ()]
    sizes[found.name] = sum(path.stat().st_size for path in files if path.is_file())
print(json.dumps(sizes))
"""
SERVE = "import tribrid.api, tribrid.app, tribrid.cli, tribrid.jobs, tribrid.loop.evaluate"


def install(folder: Path, extra: str) -> Path:
    """A new environment with the package in it: its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), wanted], check=True)
    return python


def measure(python: Path) -> dict[str, float]:
    """MB by distribution, largest first; pip and its companions left out."""
    told = subprocess.run([str(python), "-c", MEASURE], check=True, capture_output=True, text=True)
    sizes: dict[str, int] = json.loads(told.stdout)
    ours = {name: size / 1e6 for name, size in sizes.items() if name not in ("pip", "setuptools", "wheel")}
    return dict(sorted(ours.items(), key=lambda item: -item[1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", default="", help="measure with this extra as well")
    parser.add_argument("--keep", type=Path, help="make the environment here and leave it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        python = install(args.keep or Path(temporary) / "venv", args.extra)
        sizes = measure(python)
        subprocess.run([str(python), "-c", SERVE], check=True, cwd="/")
    total = sum(sizes.values())
    for name, size in list(sizes.items())[:15]:
        print(f"{size:8.1f} MB  {name}")
    print(f"{total:8.1f} MB  in {len(sizes)} packages; the bar is {BAR_MB} MB")
    return int(not args.extra and total >= BAR_MB)


if __name__ == "__main__":
    raise SystemExit(main())
