"""Letter case and punctuation are named where they make most of the errors, with the option that leaves them out."""

from __future__ import annotations

import pytest

from asr.errors import UsageError
from asr.scoring import build_report, score
from asr.scoring.formatting import find_formatting_errors
from asr.scoring.report import notices
from asr.text.normalize import get_normalizer


def found(references: list[str], hypotheses: list[str], **options: object):  # type: ignore[no-untyped-def]
    result = score(references, hypotheses, **options)  # type: ignore[arg-type]
    return find_formatting_errors(result, build_report(result).confusions)


def test_cased_and_punctuated_text_against_plain_capitals() -> None:
    references = ["THE RIVER IS WIDE", "COME HOME SOON", "IT WAS COLD"]
    hypotheses = ["The river, is wide.", "Come home soon!", "It was gold."]
    errors = found(references, hypotheses)
    assert (errors.errors, errors.of, errors.what, errors.normalizer) == (
        9,
        10,
        "letter case or punctuation",
        "librispeech",
    )
    assert errors.wer == pytest.approx(1 / 10)
    report = build_report(score(references, hypotheses))
    (line,) = notices(report)
    assert line == (
        "9 of 10 errors (90 %) are letter case or punctuation alone: with --normalizer librispeech the WER is 10.00 %"
    )


@pytest.mark.parametrize(
    ("reference", "hypothesis", "what"),
    [("THE RIVER", "the river", "letter case"), ("the river", "the river .", "punctuation")],
)
def test_what_it_is(reference: str, hypothesis: str, what: str) -> None:
    assert found([reference], [hypothesis]).what == what


def test_where_the_first_normalizer_cannot_write_the_references_whispers_is_named() -> None:
    pytest.importorskip("whisper_normalizer")
    errors = found(["In 1999 we came."], ["in 1999 we came"])
    assert (errors.normalizer, errors.wer) == ("whisper", 0)


def test_nothing_is_said_of_real_errors_or_under_a_normalizer() -> None:
    assert found(["the river is wide"], ["the liver is white"]) is None
    assert found(["The river."], ["the liver"], normalizer="librispeech") is None
    assert found(["a"], ["a"]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Holt's 2 colours, [cough] and twenty-one won't do (uh)", "mister holt is 2 colors and 21 will not do"),
        ("$5.20 for three hundred and one", "$5.20 for 301"),
        ("two thousand and two percent", "2002%"),
    ],
)
def test_whispers_normalizer(text: str, expected: str) -> None:
    pytest.importorskip("whisper_normalizer")
    assert get_normalizer("whisper")(text) == expected


def test_whispers_normalizer_on_both_sides() -> None:
    pytest.importorskip("whisper_normalizer")
    result = score(["It's twenty-one, Mr. Holt."], ["it is 21 mister holt"], normalizer="whisper")
    assert (result.wer, result.normalizer) == (0, "whisper")


def test_normalizers_in_turn() -> None:
    result = score(["Mr. Holt paid 7"], ["mister holt paid seven"], normalizer=["ljspeech", "librispeech"])
    assert (result.wer, result.normalizer) == (0, "ljspeech + librispeech")
    assert result.raw_words is not None
    with pytest.raises(UsageError, match="unknown normalizer 'magic'"):
        score(["a"], ["a"], normalizer=["none", "magic"])


def test_nist_folds_letter_case_as_sclite_does() -> None:
    assert score("The Kettle É", "the kettle É", aligner="nist").wer == 0
    assert score("The Kettle", "the kettle", aligner="nist", case_sensitive=True).wer == 1
    assert score("The Kettle", "the kettle").wer == 1
    assert score("ÉTÉ", "été", aligner="nist").wer == 1
