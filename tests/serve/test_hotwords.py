"""Which words of a prompt are worth expecting."""

from __future__ import annotations

import string

import pytest

from asr.serve.hotwords import hotwords_of


@pytest.mark.parametrize(
    ("prompt", "keywords", "expected"),
    [
        ("", [], ()),
        ("The Gryffindor team with Hermione", [], ("GRYFFINDOR", "HERMIONE", "TEAM")),
        ("Gryffindor, gryffindor!", [], ("GRYFFINDOR",)),
        ("it is 5 o'clock", [], ("O'CLOCK",)),
        ("O’Brien", [], ("O'BRIEN",)),
        ("naïve Müller Smith", [], ("SMITH",)),
        ("<script>alert(1)</script>", [], ("ALERT", "SCRIPT")),
        ("", ["new york", "  ", "the", "a=9"], ("A", "NEW YORK", "THE")),
        ("x" * 500, [], ()),
    ],
)
def test_hotwords(prompt: str, keywords: list[str], expected: tuple[str, ...]) -> None:
    assert hotwords_of(prompt, keywords, [*string.ascii_uppercase, "'", "▁"]) == expected


def test_a_long_prompt_keeps_its_end() -> None:
    names = [f"Name{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}" for i in range(100)]
    kept = hotwords_of(" ".join(names), [], string.ascii_uppercase)
    assert set(kept) == {name.upper() for name in names[50:]}
