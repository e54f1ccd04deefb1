"""Make a site of these pages: `make site`. The pages stay as they are; only what is around them is made here.

README.md is its front page, and every page is where it is in the source, so that links hold in both. Nothing of it is
loaded from elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("*.md", "docs/*.md", "docs/decisions/*.md", "docs/reference/*.md", "packages/*/README.md")
FEATURES = ["content.code.copy", "navigation.indexes", "navigation.sections", "navigation.top", "search.highlight"]
_LINKED = re.compile(r"\(([\w-]+\.md)[)#]")


def pages(root: Path) -> list[str]:
    """Every page, relative to the root."""
    return sorted(str(page.relative_to(root)) for pattern in PAGES for page in root.glob(pattern))


def navigation(root: Path) -> list[dict[str, object]]:
    """The pages by section: how-tos in the order of the index's table, and each page once."""
    linked = _LINKED.findall((root / "docs/index.md").read_text("utf-8"))
    tasks = [name for name in dict.fromkeys(f"docs/{name}" for name in linked) if (root / name).is_file()]
    start = ["README.md", "docs/index.md", "docs/guide-first-loop.md", "docs/concepts.md"]
    known = pages(root)
    sections = {
        "Start": start,
        "How to": [page for page in tasks if page not in start],
        "Reference": _in(known, "docs/reference/"),
        "Packages": _in(known, "packages/"),
        "Decisions": _in(known, "docs/decisions/"),
        "Project": ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
    }
    return [{name: list(_titled(root, found))} for name, found in sections.items()]


def _in(known: list[str], folder: str) -> list[str]:
    return [page for page in known if page.startswith(folder)]


def _titled(root: Path, found: list[str]) -> Iterator[dict[str, str]]:
    for page in found:
        title = (root / page).read_text("utf-8").split("\n", 1)[0].removeprefix("# ").strip()
        yield {title.replace("`", ""): page}


def build(out: Path, root: Path = ROOT) -> None:
    """Write the site into this folder, which it takes over.

    Raises:
        subprocess.CalledProcessError: a page links to one that is not there, or could not be made.
    """
    shutil.rmtree(out, ignore_errors=True)
    for page in pages(root):
        copied = out / "pages" / page
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / page, copied)
    project = {
        "site_name": "Tribrid",
        "site_description": "Search rankings that learn from what users did, with proof.",
        "docs_dir": "pages",
        "site_dir": "site",
        "use_directory_urls": False,
        "nav": navigation(root),
        "theme": {"name": "material", "font": False, "features": FEATURES, "palette": _palette()},
    }
    (out / "mkdocs.yml").write_text(json.dumps(project), "utf-8")  # JSON is YAML
    # The program, by its module: it may be installed without a script on the path.
    subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=out, check=True)


def _palette() -> list[dict[str, object]]:
    """Light and dark, as the reader's system says; each can be switched to the other."""
    of = (("light", "default", "lucide/moon", "Dark"), ("dark", "slate", "lucide/sun", "Light"))
    return [
        {
            "media": f"(prefers-color-scheme: {name})",
            "scheme": scheme,
            "toggle": {"icon": icon, "name": other},
        }
        for name, scheme, icon, other in of
    ]


if __name__ == "__main__":
    build(ROOT / "build/docs")
    sys.stdout.write(f"{ROOT / 'build/docs/site/index.html'}\n")
