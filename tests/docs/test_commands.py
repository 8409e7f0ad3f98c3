"""Every command line that a page shows is one that `asr` understands; what it does is for other tests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import asr
from tests.command_line import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "asr/pretrained/README.md"]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "recipes").glob("*/*.md"))]


def lines(page: Path) -> Iterator[str]:
    """The command lines in blocks of code, and those of results in tables; of synopses all that is optional."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    yield from re.findall(r"^ *(?:\$ )?(?:\.venv/bin/)?asr (.+)$", text, re.MULTILINE)
    yield from re.findall(r"\| `asr (evaluate [^`]+)` \|", text)


def arguments(line: str) -> list[str]:
    """What the shell would pass on, without comments, redirections, brackets of synopses and words of explanation."""
    line = re.split(r" [<>|&] |\s{4,}(?=\w+ )", re.sub(r"\[([-+][^]]*)\]", r"\1", line))[0]
    return shlex.split(line.replace("...", ""), comments=True)


LINES = list(dict.fromkeys(line for page in PAGES for line in lines(page)))


def test_there_are_commands() -> None:
    assert len(LINES) > 100


@pytest.mark.parametrize("line", LINES, ids=lambda line: re.sub(r"\W+", "-", line)[:60])
def test_a_command_of_a_page_is_understood(line: str) -> None:
    first, *rest = arguments(line)
    name, rest = (first, rest) if first in COMMANDS else (f"{first} {rest[0]}", rest[1:])
    COMMANDS[name].make_context(name, rest)


@pytest.mark.slow
def test_the_readme_shows_what_is_recognized() -> None:
    shown = re.search(r"\$ asr transcribe (\S+)\n +(.+)\n", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown is not None
    assert asr.load_model(precision="float32").transcribe(ROOT / shown[1]).text == shown[2]
