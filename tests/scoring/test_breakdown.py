"""Groups add up to the whole, words that go wrong are counted as words, and what only case and punctuation cost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from asr.errors import DataError, UsageError
from asr.scoring import Counts, build_report, score
from asr.scoring.breakdown import (
    available,
    break_down,
    count_confusions,
    find_formatting_errors,
    outside_vocabulary,
    worst,
)
from asr.scoring.files import read_vocabulary, report_on_files
from asr.scoring.report import notices
from asr.text.normalize import get_normalizer


def test_confusions() -> None:
    found = count_confusions(score(["the cat sat", "the cat"], ["the hat sat on", "cat"]))
    assert found.substitutions == Counter({("cat", "hat"): 1})
    assert found.deletions == Counter({"the": 1})
    assert found.insertions == Counter({"on": 1})
    assert found.wrong == Counter({"cat": 1, "the": 1})
    assert found.occurrences == Counter({"the": 2, "cat": 2, "sat": 1})


def test_groups_by_name_add_up() -> None:
    result = score(["a b", "c", "d"], ["a x", "c", ""], speakers=["s1", "s1", None])
    groups = {group.label: group for group in break_down(result, "speaker").groups}
    assert groups["s1"].words == Counts(2, 1, 0, 0)
    assert groups["(not given)"].words == Counts(0, 0, 1, 0)


def test_numbers_fall_into_stretches_of_equal_size() -> None:
    durations = [float(number) for number in range(60)]
    result = score(["a"] * 60, ["a"] * 60, fields=[{"duration": duration + 0.5} for duration in durations])
    groups = break_down(result, "duration").groups
    assert [group.utterances for group in groups] == [10] * 6
    assert [group.label for group in groups][:2] == ["0.5 to 9.5", "10.5 to 19.5"]


def test_small_numbers_have_as_many_digits_as_tell_them_apart() -> None:
    fields = [{"rms": 0.01 + number / 10000} for number in range(60)]
    groups = break_down(score(["a"] * 60, ["a"] * 60, fields=fields), "rms").groups
    labels = [group.label for group in groups]
    assert labels[:2] == ["0.010 to 0.011", "0.011 to 0.012"]
    assert len(set(labels)) == 6


def test_equal_numbers_stay_together() -> None:
    fields = [{"snr": value} for value in [1.0] * 20 + [float(number) for number in range(2, 22)]]
    groups = break_down(score(["a"] * 40, ["a"] * 40, fields=fields), "snr").groups
    assert groups[0].utterances == 20
    assert sum(group.utterances for group in groups) == 40


def test_different_numbers_are_different_groups() -> None:
    values = [20240101.0, 20240102.0, 20240103, 0.5, 2]
    groups = break_down(score(["a"] * 5, ["a"] * 5, fields=[{"session": value} for value in values]), "session").groups
    assert [group.label for group in groups] == ["0.5", "2", "20240101", "20240102", "20240103"]


def test_a_table_keeps_speakers_and_sessions_apart_and_bins_numbers(tmp_path: Path) -> None:
    rows = [f"u{number}\ta\t{'007' if number % 2 else '7'}\t2024010{number % 3}\t{number}.50" for number in range(60)]
    (tmp_path / "r.tsv").write_text("\n".join(["id\ttext\tspeaker\tsession\tduration", *rows]))
    (tmp_path / "h.trn").write_text("".join(f"a (u{number})\n" for number in range(60)))
    report = report_on_files(tmp_path / "r.tsv", tmp_path / "h.trn", by=["session"])
    labels = {each.field: [group.label for group in each.groups] for each in report.breakdowns}
    assert labels["session"] == ["20240100", "20240101", "20240102"]
    assert labels["speaker"] == ["007", "7"]
    assert labels["duration"][:2] == ["0.5 to 9.5", "10.5 to 19.5"]


def test_speaking_rate_follows_from_the_duration() -> None:
    fields = [{"duration": 2.0}, {"duration": 0.0}, {}]
    result = score(["a b c d", "a", "a"], ["a b c d", "a", "a"], fields=fields)
    assert [group.label for group in break_down(result, "speaking_rate").groups] == ["2.0", "(not given)"]
    assert available(result) == ["duration", "speaking_rate"]


def test_unknown_field_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="no utterance has the field 'accent'") as caught:
        break_down(score(["a"], ["a"], fields=[{"room": "hall"}]), "accent")
    assert "room" in caught.value.hint


def test_share_of_errors_outside_the_vocabulary() -> None:
    share = outside_vocabulary(score(["the gnu sat", "the gnu"], ["the new sat", "a gnu"]), {"the", "sat"})
    assert (share.words, share.outside, share.wrong, share.wrong_outside) == (5, 2, 2, 1)
    assert share.share == pytest.approx(0.5)


def test_vocabulary_from_text_or_manifest(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("the gnu\n\nsat\n")
    (tmp_path / "train.jsonl").write_text('{"id": "1", "text": "the gnu"}\n{"id": "2", "text": "sat"}\n')
    for name in ("words.txt", "train.jsonl"):
        assert read_vocabulary(tmp_path / name) == {"the", "gnu", "sat"}
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="holds no word"):
        read_vocabulary(tmp_path / "empty.txt")


def test_the_vocabulary_goes_through_the_normalizer(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("the well-known gnu (u1)\n")
    (tmp_path / "h.trn").write_text("a known new (u1)\n")
    (tmp_path / "words.txt").write_text("the\nwell-known\ngnu\n7\n")
    for normalizer in ("none", "librispeech"):
        share = report_on_files(
            tmp_path / "r.trn", tmp_path / "h.trn", vocabulary=tmp_path / "words.txt", normalizer=normalizer
        ).vocabulary
        assert share is not None
        assert (share.wrong, share.outside) == (3, 0)
    assert read_vocabulary(tmp_path / "words.txt", normalizer="librispeech") == {"THE", "WELL", "KNOWN", "GNU", "7"}


def test_the_vocabulary_is_folded_as_the_texts_are(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("THE GNU SAT (u1)\n")
    (tmp_path / "h.trn").write_text("THE NEW SAT (u1)\n")
    (tmp_path / "words.txt").write_text("THE\nSAT\n")
    for case_sensitive in (False, True):
        share = report_on_files(
            tmp_path / "r.trn",
            tmp_path / "h.trn",
            vocabulary=tmp_path / "words.txt",
            aligner="nist",
            case_sensitive=case_sensitive,
        ).vocabulary
        assert share is not None
        assert (share.outside, share.wrong_outside) == (1, 1)


def test_worst_first() -> None:
    result = score(["a b", "a", "a b c", "a"], ["x y", "x", "x y c", "a"], ids=["1", "2", "3", "4"])
    assert [utterance.id for utterance in worst(result)] == ["1", "3", "2"]


def test_two_systems_that_lack_different_utterances_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("a (u1)\nb (u2)\nc (u3)\n")
    (tmp_path / "h.trn").write_text("a (u1)\nb (u2)\n")
    (tmp_path / "g.trn").write_text("a (u1)\nc (u3)\n")
    paths = (tmp_path / "r.trn", tmp_path / "h.trn")
    with pytest.raises(DataError, match="lack hypotheses for different utterances"):
        report_on_files(*paths, against=tmp_path / "g.trn", missing="skip")
    comparison = report_on_files(*paths, against=tmp_path / "g.trn", missing="delete").comparison
    assert comparison is not None
    assert comparison.difference == 0


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
