"""Every format and its faults; what does not pair is listed and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr.errors import DataError, UsageError
from asr.scoring.formats import Format, Side
from asr.scoring.pairing import Missing, pair
from asr.scoring.readers import read_transcripts

MANIFEST = """{"id": "u1-a", "text": "the copper kettle"}

{"id": "u2-b", "text": ""}
{"audio_filepath": "x/u3-c.wav", "text": "a"}
"""
TEXTS = {"u1-a": "the copper kettle", "u2-b": "", "u3-c": "a"}


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.trn", ";; remark\nthe copper kettle (u1-a)\n(u2-b)\na (u3-c)\n", "trn"),
        ("a.txt", "the copper kettle (u1-a)\r\n (u2-b)\r\na (u3-c)", "trn"),
        ("text", "u1-a the copper kettle\nu2-b\nu3-c a\n", "kaldi"),
        ("a.txt", "u1-a the copper kettle\nu2-b \nu3-c a\n", "kaldi"),
        ("a.tsv", "u1-a\tthe copper kettle\nu2-b\t\nu3-c\ta\n", "tsv"),
        ("a.tsv", "id\tspeaker\ttext\nu1-a\tx\tthe copper kettle\nu2-b\tx\t\nu3-c\ty\ta\n", "tsv"),
        ("a.jsonl", MANIFEST, "jsonl"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_formats_are_told_apart(tmp_path: Path, name: str, content: str, form: Format, encoding: str) -> None:
    found = read_transcripts(write(tmp_path, name, content, encoding))
    assert (found.format, dict(found.texts)) == (form, TEXTS)


@pytest.mark.parametrize(
    ("line", "text", "identity"),
    [
        ("good morning (Recording_(1))", "good morning", "Recording_(1)"),
        ("(a_(1)_(2)-b)", "", "a_(1)_(2)-b"),
        ("(um) good (laughs)(u1)", "(um) good (laughs)", "u1"),
        ("good (um(u1)", "good (um", "u1"),
        ("f(x)(y)", "f(x)", "y"),
    ],
)
def test_parentheses_in_ids_and_texts_of_trn(tmp_path: Path, line: str, text: str, identity: str) -> None:
    assert dict(read_transcripts(write(tmp_path, "a.trn", f"{line}\n")).texts) == {identity: text}


def test_plain_text_keeps_empty_and_one_letter_lines(tmp_path: Path) -> None:
    found = read_transcripts(write(tmp_path, "a.txt", "seven days later\n\na\n7 days\n"))
    assert (found.format, list(found.texts.values())) == ("plain", ["seven days later", "", "a", "7 days"])


def test_a_table_cell_is_a_number_where_it_is_written_as_one(tmp_path: Path) -> None:
    numbers = {"3": 3, "-26.10": -26.1, "0.5": 0.5, "1e-05": 1e-05, " 3.50 ": 3.5}
    names = ["007", "1_000", "1e5", "1e+999", "nan", "٣", "3a", "", "9" * 5000]
    lines = [f"u{number}\ta\t{cell}\t84" for number, cell in enumerate([*numbers, *names])]
    found = read_transcripts(write(tmp_path, "a.tsv", "\n".join(["id\ttext\tx\tspeaker", *lines])))
    cells = [extra["x"] for extra in found.fields.values()]
    assert cells == [*numbers.values(), *(name or None for name in names)]
    assert [type(cell) for cell in cells[:2]] == [int, float]
    assert {extra["speaker"] for extra in found.fields.values()} == {"84"}


def test_words_keep_their_times_beside_tags(tmp_path: Path) -> None:
    references = read_transcripts(write(tmp_path, "r.trn", "the kettle (u1)\n"))
    ctm = "u1 1 0.1 0.2 the\nu1 1 0.3 0.1 [noise]\nu1 1 0.5 0.2 kettle\n"
    hypotheses = read_transcripts(write(tmp_path, "h.ctm", ctm))
    (utterance,) = pair(references, hypotheses).score().utterances
    assert [start for start, _ in utterance.times] == [0.1, 0.5]
    (utterance,) = pair(references, hypotheses, tags="keep").score().utterances
    assert [start for start, _ in utterance.times] == [0.1, 0.3, 0.5]


def test_ctm_is_put_in_order_of_time(tmp_path: Path) -> None:
    found = read_transcripts(
        write(tmp_path, "a.ctm", ";; x\nu1-a 1 0.9 0.2 kettle 0.8\nu1-a 1 0.1 0.2 the\nu2-b A 0 1 a\n")
    )
    assert dict(found.texts) == {"u1-a": "the kettle", "u2-b": "a"}


@pytest.mark.parametrize(("side", "text"), [("reference", "said"), ("hypothesis", "heard")])
def test_one_manifest_may_carry_both_sides(tmp_path: Path, side: Side, text: str) -> None:
    path = write(tmp_path, "a.jsonl", '{"id": "u", "text": "said", "pred_text": "heard", "duration": 2}')
    found = read_transcripts(path, side)
    assert found.texts["u"] == text
    assert found.fields["u"] == {"duration": 2}


def test_audio_of_a_manifest_is_found_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"audio_filepath": "x/u.wav", "text": ""}')
    assert read_transcripts(path).fields["u"]["audio_filepath"] == str(tmp_path / "x" / "u.wav")


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, "a.trn", "café (u)\n", "latin-1")
    assert read_transcripts(path, encoding="latin-1").texts == {"u": "café"}
    with pytest.raises(DataError, match=r"a\.trn, line 1: not utf-8 text"):
        read_transcripts(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.trn", "good (u1)\nno id here\n", "line 2: no \\(utterance-id\\)"),
        ("a.trn", "{ a / b } c (u1)\n", "line 1: alternatives"),
        ("a.tsv", "u1\ta\nu2\n", "line 2: expected an id, a tab and the text"),
        ("a.jsonl", '{"id": "u1", "text": "a"}\n{"id"\n', "line 2: not valid JSON"),
        ("a.jsonl", '{"id": "u1"}\n', "line 1: no text"),
        ("a.jsonl", '{"id": "u1", "text": "a", "duration": NaN}\n', "line 1: not valid JSON .NaN is no JSON number"),
        ("a.jsonl", '{"id": "u1", "text": "\\ud800"}\n', "line 1: not valid JSON"),
        ("a.jsonl", '{"text": "a"}\n', "line 1: neither id nor audio_filepath"),
        ("a.ctm", "u1 1 zero 0.1 a\n", "line 1: not `id channel"),
        ("a.ctm", "u1 1 0 1 a\nu1 2 0 1 b\n", "line 2: u1 has several channels"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_transcripts(write(tmp_path, name, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.trn cannot be read"):
        read_transcripts(tmp_path / "nowhere.trn")


@pytest.mark.parametrize(("policy", "expected"), [("delete", (3, 5, 2)), ("skip", (2, 3, 0))])
def test_missing_hypotheses(tmp_path: Path, policy: Missing, expected: tuple[int, int, int]) -> None:
    references = read_transcripts(write(tmp_path, "r.trn", "a b (u1)\nc d (u2)\ne (u3)\n"))
    hypotheses = read_transcripts(write(tmp_path, "h.trn", "a b (u1)\ne (u3)\nf (u9)\n"))
    pairing = pair(references, hypotheses, policy)
    score = pairing.score()
    assert (len(score.utterances), score.words.reference, score.words.deletions) == expected
    assert (pairing.inputs["missing"], pairing.inputs["extra"]) == (["u2"], ["u9"])


def test_unpaired_ids_are_refused_and_listed(tmp_path: Path) -> None:
    references = read_transcripts(write(tmp_path, "r.trn", "a (u1)\nb (u2)\nb (u2)\n"))
    hypotheses = read_transcripts(write(tmp_path, "h.trn", "a (u1)\nx (u9)\n"))
    with pytest.raises(DataError) as caught:
        pair(references, hypotheses)
    for part in ("1 without a hypothesis", "(u2)", "1 without a reference", "(u9)", "1 more than once"):
        assert part in caught.value.message


def test_files_without_a_common_id(tmp_path: Path) -> None:
    references = read_transcripts(write(tmp_path, "r.trn", "a (u1)\n"))
    hypotheses = read_transcripts(write(tmp_path, "h.trn", "a (U1)\n"))
    with pytest.raises(DataError, match="no utterance in common"):
        pair(references, hypotheses, "delete")


def test_plain_files_of_unequal_length(tmp_path: Path) -> None:
    references = read_transcripts(write(tmp_path, "r.txt", "a\nb\n"))
    with pytest.raises(DataError, match=r"has 2 lines, .* has 1"):
        pair(references, read_transcripts(write(tmp_path, "h.txt", "a\n")), "delete")
    with pytest.raises(DataError, match="was read as plain"):
        pair(references, read_transcripts(write(tmp_path, "h.trn", "a (1)\n")))


def test_the_speaker_comes_from_the_manifest_or_the_id(tmp_path: Path) -> None:
    entries = [{"id": "84-1", "text": "a", "speaker": "anna"}, {"id": "85-1", "text": "b"}]
    references = read_transcripts(write(tmp_path, "r.jsonl", "\n".join(map(json.dumps, entries))))
    hypotheses = read_transcripts(write(tmp_path, "h.trn", "a (84-1)\nb (85-1)\n"))
    assert pair(references, hypotheses).speakers == ["anna", None]
    assert pair(references, hypotheses, speaker_from=r"^(\d+)-").speakers == ["84", "85"]
    with pytest.raises(UsageError, match="no group"):
        pair(references, hypotheses, speaker_from=r"^\d+")
    for pattern in (r"^(84)", r"^(84)|85"):
        with pytest.raises(DataError, match="no speaker in the id '85-1'"):
            pair(references, hypotheses, speaker_from=pattern)


@pytest.mark.parametrize(("name", "form"), [("a.txt", "plain"), ("a.csv", "csv")])
def test_the_words_of_many_hours_in_one_line(tmp_path: Path, name: str, form: Format) -> None:
    text = "the cat sat on the mat " * 10_000
    found = read_transcripts(write(tmp_path, name, f"id,text\nu1,{text}\n" if form == "csv" else f"{text}\n"))
    assert (found.format, list(found.texts.values())) == (form, [text])


def test_a_single_entry_with_segments_keeps_its_id(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.json"):
        found = read_transcripts(write(tmp_path, name, '{"id": "u7", "text": "a b", "segments": [{"text": "a b"}]}\n'))
        assert (found.is_recording, dict(found.texts)) == (False, {"u7": "a b"})
