"""What the pages share: their look, and how their files are read."""

from __future__ import annotations

from importlib import resources


def read_page(name: str, package: str = "asr.html") -> str:
    """A file of a page, by the package that it lies in."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
