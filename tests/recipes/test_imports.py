"""What recipes take from the package is there, in their Python files and in the lines of Python in their scripts."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
IMPORT = re.compile(r"from (asr(?:\.\w+)*) import (\([^)]*\)|[\w, ]+)")
TAKEN = sorted(
    (path.relative_to(RECIPES).as_posix(), module, name)
    for path in RECIPES.rglob("*")
    if path.suffix in (".py", ".sh")
    for module, names in IMPORT.findall(path.read_text(encoding="utf-8"))
    for name in re.findall(r"(\w+)(?: as \w+)?", names)
)


def test_imports_are_found() -> None:
    assert ("common.sh", "asr.model.folder", "BUNDLED") in TAKEN
    assert len({file for file, _, _ in TAKEN}) > 15


@pytest.mark.parametrize(("file", "module", "name"), TAKEN)
def test_what_a_recipe_imports_is_there(file: str, module: str, name: str) -> None:
    assert hasattr(import_module(module), name) or find_spec(f"{module}.{name}"), file
