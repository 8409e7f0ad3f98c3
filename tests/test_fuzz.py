"""Generated recordings, manifests, language models, texts and names: an answer or an `AsrError`, never a traceback.

Where the right answer is known (a header that lies mildly, a file that was written and is read again), that answer.
Score files have a test of their own (`tests/scoring/test_fuzz.py`).
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio.stream import probe_audio
from asr.corpus.manifest import read_manifest, write_manifest
from asr.errors import AsrError
from asr.lm.arpa import write_arpa
from asr.lm.load import load_language_model
from asr.lm.text import read_sentences
from asr.scoring.readers import read_transcripts
from asr.text.normalize import librispeech, ljspeech, none
from asr.transcription.result import Segment, Transcript, Word
from asr.transcription.writers import FORMATS, ctm_name, render
from tests.audio.recordings import FORMATS as CODECS
from tests.audio.recordings import chirp, encode, hear
from tests.fuzzing import examples

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")  # a traceback, too

RATE = 16000
SOUND = (np.random.default_rng(1).uniform(-0.5, 0.5, RATE // 2) * 32767).astype("<i2")
ENCODED = [encode(chirp(0.3), RATE, form, subtype) for form, subtype in CODECS]
WORDS = ("go", "home", "river", "it's", "naïve", "地図", "a'", "o")


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk of a WAV, padded to even length, that says it has `size` bytes (by default the truth)."""
    told = len(content) if size is None else size
    return name + struct.pack("<I", told % 2**32) + content + bytes(len(content) % 2)


extra_chunks = st.lists(
    st.builds(
        chunk,
        st.sampled_from([b"LIST", b"JUNK", b"bext", b"id3 ", b"cue "]),
        st.binary(max_size=40),
    ),
    max_size=3,
)
told_sizes = st.one_of(
    st.sampled_from([0, len(SOUND) * 2, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000]),
    st.integers(len(SOUND) * 2, len(SOUND) * 2 + RATE // 10),
    st.integers(1, len(SOUND) - 4).map(lambda samples: 2 * samples),
)


@st.composite
def wavs(draw: Callable[..., Any]) -> bytes:
    """A WAV whose sound is all there, whatever its header says of the length."""
    told = draw(told_sizes)
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    data = chunk(b"data", SOUND.tobytes(), told)
    # What follows a data chunk of a wrong size cannot be told from sound.
    behind = b"".join(draw(extra_chunks)) if told == len(SOUND) * 2 else b""
    body = b"WAVE" + form + b"".join(draw(extra_chunks)) + data + behind
    size = draw(st.sampled_from([len(body), 0, 0xFFFFFFFF, len(body) // 2]))
    return b"RIFF" + struct.pack("<I", size) + body


def _the_sound_is_all_there(data: bytes) -> None:
    recording = hear(data)
    np.testing.assert_allclose(recording.samples, SOUND / 32768, atol=2e-4)
    assert probe_audio(data).duration == pytest.approx(len(SOUND) / RATE)


@st.composite
def damaged(draw: Callable[..., Any]) -> bytes:
    """A recording some of whose bytes, or whose end, are others."""
    content = bytearray(draw(st.sampled_from(ENCODED)))
    head = draw(st.sampled_from([64, len(content)]))  # headers are a small part of a file, and the one that matters
    for _ in range(draw(st.integers(0, 10))):
        content[draw(st.integers(0, min(head, len(content)) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(content)))
    return bytes(content[:cut] if draw(st.booleans()) else content) + draw(st.binary(max_size=30))


def _a_recording_is_read_or_refused(data: bytes) -> None:
    try:
        probe_audio(data)
        recording = hear(data)
    except AsrError:
        return
    assert np.isfinite(recording.samples).all()


odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "a.wav", "a\0.wav", "../b.flac", "\ud800.wav", " ", "x" * 400, 10**400, -0.0, 1e999]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
fields = ["id", "audio_filepath", "duration", "text", "speaker", "offset", "level_db", "wordless"]
sound_entries = st.fixed_dictionaries(
    {
        "id": st.text(min_size=1, max_size=6),
        "audio_filepath": st.text(min_size=1, max_size=8),
        "duration": st.floats(0, 1e4),
        "text": st.text(max_size=8),
    }
)
odd_entries = st.builds(
    lambda entry, change: json.dumps(entry | change),
    sound_entries,
    st.dictionaries(st.sampled_from(fields), odd_values),
)
odd_lines = st.one_of(
    odd_entries,
    st.text(max_size=40),
    st.sampled_from(
        ["", "{}", "[]", "null", "NaN", "{" * 20_000, "[" * 100_000, '{"id": ' + "9" * 5000 + "}", "\ufeff{}"]
    ),
)
manifests = st.lists(odd_lines, max_size=6).map("\n".join)


def _a_manifest_is_read_or_refused(content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a.jsonl", Path(folder) / "b.jsonl"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            utterances = read_manifest(path)
            write_manifest(again, utterances)
        except AsrError:
            return
        assert [(each.id, each.audio, each.text) for each in read_manifest(again)] == [
            (each.id, each.audio, each.text) for each in utterances
        ]
        for utterance in utterances:
            with pytest.raises(AsrError):
                probe_audio(utterance.audio / "missing")


@st.composite
def arpas(draw: Callable[..., Any]) -> tuple[str, bool]:
    """An ARPA file, and whether it is whole: only blanks, remarks and line ends differ from what we write."""
    numbers = st.floats(-6, -0.01).map(lambda number: f"{number:.3f}")
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5, unique=True))
    rows = {1: [(name,) for name in ("<unk>", "<s>", "</s>", *words)]}
    rows[2] = draw(st.lists(st.tuples(st.sampled_from(words), st.sampled_from(words)), max_size=5, unique=True))
    lines = ["\\data\\", *(f"ngram {order}={len(rows[order])}" for order in rows)]
    for order, grams in rows.items():
        lines += [f"\\{order}-grams:"]
        lines += [f"{draw(numbers)}\t{' '.join(gram)}" + (f"\t{draw(numbers)}" if order == 1 else "") for gram in grams]
    lines.append("\\end\\")
    whole = draw(st.booleans())
    if not whole:
        for _ in range(draw(st.integers(1, 3))):
            place = draw(st.integers(0, len(lines) - 1))
            how = draw(st.sampled_from(["drop", "double", "swap", "junk", "number"]))
            if how == "drop":
                del lines[place]
            elif how == "double":
                lines.insert(place, lines[place])
            elif how == "swap":
                lines[place], lines[0] = lines[0], lines[place]
            elif how == "junk":
                lines[place] = draw(st.text(max_size=20))
            else:
                odd = draw(st.sampled_from(["nan", "1e999", "-inf", "7", "999999999999", "-1", "٣"]))
                lines[place] = odd + lines[place][2:]
            lines = lines or [""]
    end = draw(st.sampled_from(["\n", "\r\n", " \n", "\n\n"]))
    start = draw(st.sampled_from(["", "\ufeff", "remark\n\n"]))
    return start + end.join(lines) + draw(st.sampled_from(["", end])), whole


def _a_language_model_is_read_or_refused(content: str, whole: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "lm.arpa", Path(folder) / "again.arpa"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            model = load_language_model(path)
        except AsrError:
            assert not whole
            return
        write_arpa(model, again)
        assert load_language_model(again).counts == model.counts


spoken = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["GO", "home,", "[laughter]", "<unk>", "<s>", "{ a / b }", "(uh)", "23", "£5", "naïve", "\x00", "地図"]
        ),
        max_size=8,
    ).map(" ".join),
    st.builds(lambda value: json.dumps({"text": value}), odd_values),
    odd_lines,
)


def _a_text_is_read_or_refused(lines: list[str], suffix: str, normalize: Callable[[str], str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"text{suffix}"
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        try:
            sentences = list(read_sentences(path, normalize))
        except AsrError:
            return
        for sentence in sentences:
            assert sentence.strip()
            assert not {"<s>", "<unk>", "[laughter]"} & set(sentence.split())
            assert normalize(sentence) == sentence


TEXTS = (
    st.lists(spoken, max_size=5),
    st.sampled_from([".txt", ".jsonl", ".gz", ".bz2"]),
    st.sampled_from([none, librispeech, ljspeech]),
)
names = st.one_of(  # of files, which hold no NUL
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=12),
    st.lists(
        st.sampled_from([" ", "\t", "\n", "..", "/", ".wav", "a", "é", "-", ";;", "(", "\u2028", "\ud800"]), min_size=1
    ).map("".join),
)


def _a_name_is_written_and_read(name: str) -> None:
    words = (Word("go", 0.0, 0.4, 0.9), Word("home", 0.5, 0.9, 0.8))
    transcript = Transcript(name, 1.0, (Segment(0.0, 0.9, "go home", words),))
    for form in FORMATS:
        assert render(transcript, form)
    assert json.loads(render(transcript, "json"))["file"] == name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.ctm"
        path.write_bytes(render(transcript, "ctm").encode("utf-8", "surrogatepass"))
        try:
            read = read_transcripts(path, "hypothesis", "ctm")
        except AsrError:
            assert any(0xD800 <= ord(letter) < 0xE000 for letter in name)  # no UTF-8
            return
        assert list(read.texts.values()) == ["go home"]
        assert list(read.texts) == [ctm_name(name)]


@given(wavs())
@examples(30)
def test_the_sound_is_all_there(data: bytes) -> None:
    _the_sound_is_all_there(data)


@given(damaged())
@examples(40)
def test_a_recording_is_read_or_refused(data: bytes) -> None:
    _a_recording_is_read_or_refused(data)


@given(manifests)
@examples(60)
def test_a_manifest_is_read_or_refused(content: str) -> None:
    _a_manifest_is_read_or_refused(content)


@given(arpas())
@examples(60)
def test_a_language_model_is_read_or_refused(drawn: tuple[str, bool]) -> None:
    _a_language_model_is_read_or_refused(*drawn)


@given(*TEXTS)
@examples(60)
def test_a_text_is_read_or_refused(lines: list[str], suffix: str, normalize: Callable[[str], str]) -> None:
    _a_text_is_read_or_refused(lines, suffix, normalize)


@given(names)
@examples(60)
def test_a_name_is_written_and_read(name: str) -> None:
    _a_name_is_written_and_read(name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestAtLength:
    """Ten thousand inputs."""

    @given(wavs())
    @examples(1000)
    def test_the_sound_is_all_there(self, data: bytes) -> None:
        _the_sound_is_all_there(data)

    @given(damaged())
    @examples(3000)
    def test_a_recording_is_read_or_refused(self, data: bytes) -> None:
        _a_recording_is_read_or_refused(data)

    @given(manifests)
    @examples(2000)
    def test_a_manifest_is_read_or_refused(self, content: str) -> None:
        _a_manifest_is_read_or_refused(content)

    @given(arpas())
    @examples(2000)
    def test_a_language_model_is_read_or_refused(self, drawn: tuple[str, bool]) -> None:
        _a_language_model_is_read_or_refused(*drawn)

    @given(*TEXTS)
    @examples(1000)
    def test_a_text_is_read_or_refused(self, lines: list[str], suffix: str, normalize: Callable[[str], str]) -> None:
        _a_text_is_read_or_refused(lines, suffix, normalize)

    @given(names)
    @examples(1000)
    def test_a_name_is_written_and_read(self, name: str) -> None:
        _a_name_is_written_and_read(name)
