"""Gather what the site is made of: the pages of `docs`, of the recipes and of the model, where their links expect them.

    python docs/site.py FOLDER

The README is the first page. A file that a page links to, code say, comes along, so that the link holds on the site
as it does in the repository. What a link names and is not there, `mkdocs build --strict` complains about.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "recipes/*/*.md",
    "recipes/*/*/*.md",
    "asr/pretrained/README.md",
    "data/samples/README.md",
]
LINK = re.compile(r"\]\(([^)#\s]+)")


def gather(target: Path) -> None:
    """Fill `target`, an empty or missing folder, with the pages and what they link to."""
    shutil.rmtree(target, ignore_errors=True)
    for page in sorted(page for pattern in PAGES for page in ROOT.glob(pattern)):
        _copy(page, target)
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            file = (page.parent / link).resolve()
            if file.is_file() and file.is_relative_to(ROOT) and file.suffix != ".md":
                _copy(file, target)
    (target / "README.md").rename(target / "index.md")


def _copy(file: Path, target: Path) -> None:
    place = target / file.relative_to(ROOT)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
