"""Kaldi data directories in and out."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.corpus.kaldi import export_kaldi, prepare_kaldi
from asr.corpus.manifest import Utterance, read_manifest
from asr.errors import DataError
from tests.corpus.recordings import write_tone


def write_data(folder: Path, **tables: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tables.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


def test_whole_recordings(tmp_path: Path) -> None:
    write_tone(tmp_path / "data/a b.wav")
    data = write_data(tmp_path / "data", wav_scp="u1 a b.wav\n", text="u1 HELLO  THERE\n", utt2spk="u1 s1\n")
    (one,) = read_manifest(prepare_kaldi(data, tmp_path).manifest)
    assert (one.id, one.text, one.speaker, one.offset) == ("u1", "HELLO THERE", "s1", 0.0)
    assert one.duration == pytest.approx(0.25)


def test_segments_of_a_recording(tmp_path: Path) -> None:
    write_tone(tmp_path / "long.wav", seconds=2.0)
    tables = {"text": "u1 ONE\nu2\n", "segments": "u1 rec 0.5 1.0\nu2 rec 1 2\n"}
    data = write_data(tmp_path / "data", wav_scp=f"rec {tmp_path}/long.wav\n", **tables)
    first, second = read_manifest(prepare_kaldi(data, tmp_path).manifest)
    assert (first.offset, first.duration, first.text, first.speaker) == (0.5, pytest.approx(0.5), "ONE", None)
    assert (second.offset, second.duration, second.text) == (1.0, pytest.approx(1.0), "")


def test_commands_are_refused_and_losses_named(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    trap = tmp_path / "ran"
    data = write_data(
        tmp_path / "data",
        wav_scp=f"u1 {tmp_path}/a.wav\nu2 touch {trap} |\nu3 {tmp_path}/none.wav\nu4 {tmp_path}/a.wav\n",
        text="u1 ONE\nu2 TWO\nu3 THREE\n",
    )
    done = prepare_kaldi(data, tmp_path)
    assert [one.id for one in read_manifest(done.manifest)] == ["u1"]
    assert sorted(problem[:2] for problem in done.problems) == ["u2", "u3", "u4"]
    assert not trap.exists()


@pytest.mark.parametrize("segments", ["", "u1 r 0 1\n"])
def test_texts_that_nothing_used_are_named(tmp_path: Path, segments: str) -> None:
    write_tone(tmp_path / "data/a.wav", seconds=2.0)
    tables = {"text": "u0 NONE\nu1 ONE\nr TWO\n", "segments": segments, "wav_scp": "r a.wav\nu1 a.wav\n"}
    data = write_data(tmp_path / "data", **tables)
    done = prepare_kaldi(data, tmp_path)
    listing = data / ("segments" if segments else "wav.scp")
    assert done.problems == [f"{identity}: not in {listing}" for identity in (["u0", "r"] if segments else ["u0"])]
    assert "u1" in [one.id for one in read_manifest(done.manifest)]


def test_tables_as_other_programs_write_them(tmp_path: Path) -> None:
    write_tone(tmp_path / "data/a b.wav", seconds=2.0)
    tables = {
        "wav.scp": "\ufeffrec\ta b.wav\r\n",
        "text": "\ufeffu1\tONE TWO\r\n\r\nu2 \t THREE\u0085FOUR\u2028FIVE\r\n",
        "utt2spk": "u1\ts1\r\nu2\ts2\r\n",
        "segments": "u1\trec 0\t1\r\nu2\trec\t1\t2\r\n",
    }
    for name, content in tables.items():
        (tmp_path / "data" / name).write_bytes(content.encode())
    done = prepare_kaldi(tmp_path / "data", tmp_path)
    found = [(one.id, one.text, one.speaker, one.offset) for one in read_manifest(done.manifest)]
    assert found == [("u1", "ONE TWO", "s1", 0.0), ("u2", "THREE FOUR FIVE", "s2", 1.0)]
    assert done.problems == []


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"text": "u1 ONE\n"}, "wav.scp"),
        ({"wav_scp": "u1 a.wav\n"}, "text"),
        ({"wav_scp": "u1 a.wav\nu1 b.wav\n", "text": "u1 ONE\n"}, "line 2"),
        ({"wav_scp": "r a.wav\n", "text": "u1 ONE\n", "segments": "u1 r 1\n"}, "segments: u1"),
        ({"wav_scp": "r a.wav\n", "text": "u1 ONE\n", "segments": "u1 r 2 1\n"}, "ends before"),
        ({"wav_scp": "r a.wav\n", "text": "u1 ONE\n", "segments": "u1 r nan 1\n"}, "ends before"),
        ({"wav_scp": "r a.wav\n", "text": "u1 ONE\n", "segments": "u1 r 0 inf\n"}, "segments: u1"),
        ({"wav_scp": "r a\0.wav\n", "text": "u1 ONE\n"}, r"wav\.scp cannot be read"),
    ],
)
def test_malformed_tables_name_the_place(tmp_path: Path, tables: dict[str, str], named: str) -> None:
    with pytest.raises(DataError, match=named):
        prepare_kaldi(write_data(tmp_path / "data", **tables), tmp_path)


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_out_and_in_again_is_the_same(tmp_path: Path, offset: float) -> None:
    audio = [write_tone(tmp_path / name / "same.wav", seconds=1.0) for name in "ab"]
    utterances = [
        Utterance("s1-b", audio[0], 1.0 - offset, "WORDS OF ONE", "s1", offset),
        Utterance("s1-A", audio[0], 0.5, "MORE", "s1"),
        Utterance("z", audio[1], 1.0, ""),
    ]
    export_kaldi(utterances, tmp_path / "data")
    assert (tmp_path / "data/text").read_text() == "s1-A MORE\ns1-b WORDS OF ONE\nz\n"
    assert (tmp_path / "data/spk2utt").read_text() == "s1 s1-A s1-b\nz z\n"
    back = {one.id: one for one in read_manifest(prepare_kaldi(tmp_path / "data", tmp_path).manifest)}
    for one in utterances:
        again = back[one.id]
        assert (again.audio, again.text, again.speaker) == (one.audio, one.text, one.speaker or one.id)
        assert (again.offset, again.duration) == (pytest.approx(one.offset), pytest.approx(one.duration))


@pytest.mark.parametrize(("identity", "speaker"), [("a b", "s"), ("a", "s t")])
def test_names_that_the_tables_cannot_hold(tmp_path: Path, identity: str, speaker: str) -> None:
    utterance = Utterance(identity, tmp_path / "a.wav", 1.0, "WORDS", speaker)
    with pytest.raises(DataError, match="not one word"):
        export_kaldi([utterance], tmp_path / "data")


def test_a_text_of_several_lines_is_written_in_one_and_a_path_is_refused(tmp_path: Path) -> None:
    export_kaldi([Utterance("u", tmp_path / "a.wav", 1.0, "ONE\r\nTWO\nTHREE")], tmp_path / "data")
    assert (tmp_path / "data/text").read_text() == "u ONE TWO THREE\n"
    with pytest.raises(DataError, match="not one line"):
        export_kaldi([Utterance("u", tmp_path / "a\nb.wav", 1.0, "ONE")], tmp_path / "data")


def test_a_segment_that_ends_after_its_recording_is_named_and_minus_one_is_the_end(tmp_path: Path) -> None:
    write_tone(tmp_path / "long.wav", seconds=2.0)
    rows = {"u1": "0 1", "u2": "1.5 2.005", "u3": "1.0 60.0", "u4": "1.25 -1", "u5": "0 -1"}
    data = write_data(
        tmp_path / "data",
        wav_scp=f"rec {tmp_path}/long.wav\n",
        text="".join(f"{name} WORD\n" for name in rows),
        segments="".join(f"{name} rec {row}\n" for name, row in rows.items()),
    )
    done = prepare_kaldi(data, tmp_path)
    durations = {one.id: round(one.duration, 3) for one in read_manifest(done.manifest)}
    assert durations == {"u1": 1.0, "u2": 0.5, "u4": 0.75, "u5": 2.0}
    assert done.problems == ["u3: ends at 60.00 s, after its recording, which has 2.00 s"]
