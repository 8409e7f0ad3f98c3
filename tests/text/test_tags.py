"""What stands in a transcript and is not spoken is refused by name; prose is not."""

from __future__ import annotations

import pytest

from asr.errors import DataError
from asr.text.normalize import refuse_tags


@pytest.mark.parametrize(
    "text",
    [
        "[laughter] we walked",
        "we <unk> along",
        "<s> we walked </s>",
        "we { walked / walk } along",
        "(uh) we walkedwe walked (())",
        "we ( noise ) walked",
        "we walked [door slams]",
        "we walked ((unclear))",
        "we walked <pause/>",
    ],
)
def test_tags_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="which nobody speaks"):
        refuse_tags(text)


@pytest.mark.parametrize(
    "text",
    [
        "we walked along",
        "WE WALKED (SLOWLY) ALONG",
        "a letter (written in haste) came",
        "two < three",
        "it's 5 > 4",
        "(a)",
        "smile :-)",
        "",
        "he said (and laughed) no",
        "a { without an end",
        "chapter 1) the river",
    ],
)
def test_prose_is_not(text: str) -> None:
    refuse_tags(text)


def test_a_bracket_before_many_blanks_is_passed_over_at_once() -> None:
    refuse_tags("(" + " " * 20_000 + "a table's cell")
