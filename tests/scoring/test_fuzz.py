"""Generated score files: whatever is in them, no traceback; where the right answer is known, that answer."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import AsrError
from asr.scoring import build_report, score, write_report
from asr.scoring.files import board_of_files, report_on_files
from asr.scoring.formats import FORMATS
from asr.scoring.views.terminal import print_report
from tests.fuzzing import examples

SUFFIXES = [".txt", ".trn", ".tsv", ".csv", ".jsonl", ".json", ".ctm", ".stm", ".srt", ".vtt", "", ".rttm"]
WORDS = ["river", "the", "wide", "Cold,", "it's", "7", "1.5", "naïve", "地図", "ok:", "a/b", "x|y", "semi;colon"]
PIECES = [
    *WORDS, "[noise]", "<unk>", "<s>", "{ a / b }", "(uh)", "(u1)", "(u 1 -3)", "(", ")", "[", "{", "\t", "\t\t",
    "\n", "\n\n", "\r\n", "\r", ",", ";", "|", '"', '""', "\ufeff", "\u2028", "\x00", "\ud800", "id", "text", "path",
    "sentence", "start", "end", "-->", "00:00:01,000 --> 00:00:02,000", "WEBVTT", "NOTE", "u1", "u-2", "spk_a", "1",
    "0.5", "1e999", "nan", "-1", "u1 1 0.0 0.5 the", "u1 1 anna 0.0 0.5 the", '{"id": "u1", "text": "the"}',
    '{"id": "u1"', "[]", "{}", "null", '{"text": null}', '{"segments": [{"text": 1}]}', '[{"id": 1, "text": "a"}]',
    ";; remark", "inter_segment_gap", "<ALT>",
]  # fmt: skip
garbage = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.text(max_size=80),
)
sentences = st.lists(st.sampled_from(["river", "the", "wide", "cold", "it's", "naïve", "x"]), max_size=6).map(" ".join)
ids = st.text("abcXYZ019_-.", min_size=1, max_size=6).map(lambda name: f"u{name}1")
corpora = st.dictionaries(ids, st.tuples(sentences, sentences), min_size=2, max_size=6)


def _csv(texts: dict[str, str]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([["id", "text"], *texts.items()])
    return file.getvalue()


WRITERS: dict[str, Callable[[dict[str, str]], str]] = {
    "a.trn": lambda texts: "".join(f"{text} ({name})\n" for name, text in texts.items()),
    "b.txt": lambda texts: "".join(f"{text} ({name} -4321)\r\n" for name, text in texts.items()),
    "text": lambda texts: "".join(f"{name} {text}\n" for name, text in texts.items()),
    "a.tsv": lambda texts: "".join(f"{name}\t{text}\n" for name, text in texts.items()),
    "b.tsv": lambda texts: "path\tsentence\n" + "".join(f"x/{name}.wav\t{text}\n" for name, text in texts.items()),
    "a.csv": _csv,
    "a.jsonl": lambda texts: "\n".join(json.dumps({"id": name, "text": text}) for name, text in texts.items()),
    "a.json": lambda texts: json.dumps([{"id": name, "text": text} for name, text in texts.items()], indent=2),
    "b.jsonl": lambda texts: "\n".join(
        json.dumps({"audio_filepath": f"{name}.flac", "text": "UNSEEN", "reference": text, "pred_text": text})
        for name, text in texts.items()
    ),
}


def _no_traceback(reference: str, hypothesis: str, suffixes: tuple[str, str], form: str, missing: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{side}{suffix}" for side, suffix in zip(("ref", "hyp"), suffixes, strict=True)]
        for path, content in zip(paths, (reference, hypothesis), strict=True):
            path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            report = report_on_files(*paths, missing=missing, reference_format=form, normalizer="none")
        except AsrError:
            return
        assert report.score.words.reference == sum(each.words.reference for each in report.score.utterances)
        for view in ("html", "json", "csv", "pra", "sys"):
            write_report(report, Path(name) / "out", view)
        from rich.console import Console

        print_report(report, Console(file=io.StringIO(), highlight=False), by=("speaker",), worst=3)


def _right_answer(texts: dict[str, tuple[str, str]], names: tuple[str, str], aligner: str) -> None:
    expected = score(
        [said for said, _ in texts.values()],
        [heard for _, heard in texts.values()],
        aligner=aligner,
        case_sensitive=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for side, name in enumerate(names):
            path = Path(folder) / str(side) / name
            path.parent.mkdir()
            path.write_bytes(WRITERS[name]({key: pair[side] for key, pair in texts.items()}).encode())
            paths.append(path)
        report = report_on_files(*paths, aligner=aligner, case_sensitive=True)
        assert report.score.words == expected.words
        assert {each.id: each.words for each in report.score.utterances} == {
            name: each.words for name, each in zip(texts, expected.utterances, strict=True)
        }
        board = board_of_files(paths[0], [paths[1], paths[1]])
        assert [each.score.wer for each in board.reports] == [board.reports[0].score.wer] * 2


INPUTS = (garbage, garbage, st.tuples(*[st.sampled_from(SUFFIXES)] * 2), st.sampled_from(FORMATS))
ANSWERS = (corpora, st.tuples(*[st.sampled_from(sorted(WRITERS))] * 2), st.sampled_from(["levenshtein", "nist"]))


@given(*INPUTS, st.sampled_from(["error", "delete", "skip"]))
@examples(60)
def test_no_traceback(reference: str, hypothesis: str, suffixes: tuple[str, str], form: str, missing: str) -> None:
    _no_traceback(reference, hypothesis, suffixes, form, missing)


@given(*ANSWERS)
@examples(25)
def test_right_answer(texts: dict[str, tuple[str, str]], names: tuple[str, str], aligner: str) -> None:
    _right_answer(texts, names, aligner)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(*INPUTS, st.sampled_from(["error", "delete", "skip"]))
@examples(4000)
def test_no_traceback_at_length(
    reference: str, hypothesis: str, suffixes: tuple[str, str], form: str, missing: str
) -> None:
    _no_traceback(reference, hypothesis, suffixes, form, missing)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(*ANSWERS)
@examples(1000)
def test_right_answer_at_length(texts: dict[str, tuple[str, str]], names: tuple[str, str], aligner: str) -> None:
    _right_answer(texts, names, aligner)


@given(st.lists(st.tuples(garbage, garbage), min_size=1, max_size=4), st.sampled_from(["levenshtein", "nist"]))
@examples(30)
def test_any_texts_are_scored(pairs: list[tuple[str, str]], aligner: str) -> None:
    references, hypotheses = map(list, zip(*pairs, strict=True))
    result = score(references, hypotheses, aligner=aligner)  # type: ignore[arg-type]
    assert result.words.reference == sum(len(text.split()) for text in references)
    assert result.words.hypothesis == sum(len(text.split()) for text in hypotheses)
    assert build_report(result).over_utterances.low <= build_report(result).over_utterances.high
