"""The manifest format: what is written is read again; what is malformed is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.corpus.manifest import Utterance, describe_utterances, read_manifest, write_manifest
from asr.errors import DataError
from tests.corpus.recordings import write_tone

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
utterances = st.lists(
    st.builds(
        Utterance,
        id=text.filter(bool),
        audio=st.just(Path("/somewhere/a.wav")),
        duration=st.integers(0, 10**7).map(lambda microseconds: microseconds / 1e6),
        text=text,
        speaker=st.none() | text,
        offset=st.just(0.0) | st.floats(0.001, 1e5),
        extra=st.dictionaries(st.sampled_from(["level_db", "gender", "x"]), st.integers() | text, max_size=3),
    ),
    unique_by=lambda utterance: utterance.id,
    max_size=5,
)


@given(written=utterances)
def test_written_and_read_again(tmp_path_factory: pytest.TempPathFactory, written: list[Utterance]) -> None:
    path = tmp_path_factory.mktemp("manifest") / "a.jsonl"
    write_manifest(path, written)
    assert read_manifest(path) == written


def test_audio_beneath_the_manifest_moves_with_it(tmp_path: Path) -> None:
    write_manifest(tmp_path / "one/a.jsonl", [Utterance("a", write_tone(tmp_path / "one/wavs/a.wav"), 1.0)])
    (tmp_path / "one").rename(tmp_path / "two")
    assert read_manifest(tmp_path / "two/a.jsonl")[0].audio == tmp_path / "two/wavs/a.wav"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "line 2: not valid JSON"),
        ("[]", "line 2: not a JSON object"),
        ('{"duration": 1}', "line 2: no audio_filepath"),
        ('{"audio_filepath": "b\\u0000.wav", "duration": 1}', "line 2: no audio_filepath"),
        ('{"audio_filepath": "b.wav"}', "line 2: duration"),
        ('{"audio_filepath": "b.wav", "duration": -1}', "line 2: duration"),
        ('{"audio_filepath": "b.wav", "duration": NaN}', "line 2: duration"),
        ('{"audio_filepath": "b.wav", "duration": 1, "offset": "2"}', "line 2: offset"),
        ('{"audio_filepath": "b.wav", "duration": 1, "text": 3}', "line 2: text"),
        ('{"audio_filepath": "a.wav", "duration": 1}', "'a' appears twice"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str, named: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"audio_filepath": "a.wav", "duration": 1}\n' + line + "\n")
    with pytest.raises(DataError, match=named) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_a_summary_counts(tmp_path: Path) -> None:
    here = write_tone(tmp_path / "a.wav")
    rows = describe_utterances(
        [
            Utterance("1", here, 1800.0, "A B", "x", extra={"level_db": -20.0}),
            Utterance("2", here, 900.0, "A", "y", extra={"level_db": -30.0}),
            Utterance("3", tmp_path / "gone.wav", 900.0, "A"),
        ]
    )
    assert rows == [
        ("utterances", "3"),
        ("hours", "1.00"),
        ("words", "4 (2 distinct)"),
        ("distinct texts", "2"),
        ("characters", "AB"),
        ("speakers", "2 (most speech: x, 30.0 min)"),
        ("duration", "900.00 to 1800.00 s, median 900.00, 95 % below 1710.00"),
        ("level", "-30 to -20 dBFS, median -25"),
        ("missing audio", f"1 files, the first {tmp_path / 'gone.wav'}"),
    ]


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "."])
def test_a_name_that_no_recording_can_have_is_missing_audio(tmp_path: Path, name: str) -> None:
    facts = dict(describe_utterances([Utterance("a", tmp_path / name, 1.0, "WORD")]))
    assert facts["missing audio"] == f"1 files, the first {tmp_path / name}"


def test_an_empty_summary_has_no_spreads() -> None:
    named = [name for name, _ in describe_utterances([])]
    assert named == ["utterances", "hours", "words", "distinct texts", "characters"]
