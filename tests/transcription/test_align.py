from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import asr
from asr.cli import main
from asr.errors import DataError
from asr.model.forced_alignment import TokenAlignment
from asr.transcription.align import align_text
from asr.transcription.result import Word
from asr.transcription.timestamps import keep_apart, spell_words, time_words
from asr.transcription.writers import as_textgrid
from tests.audio.recordings import encode, noisy


@pytest.fixture(scope="module")
def recognizer(tiny_model):
    return asr.load_model(tiny_model)


@pytest.mark.parametrize(
    ("chunks", "words", "spans"),
    [
        (["▁THE", "▁CAT", "S"], ["THE", "CATS"], [(0, 1), (1, 3)]),
        (["A", "▁", "B"], ["A", "B"], [(0, 1), (2, 3)]),
        (["▁", "A", "▁"], ["A"], [(1, 2)]),
        (["▁", "▁"], [], []),
        ([], [], []),
    ],
)
def test_words_of_pieces(chunks, words, spans):
    vocabulary = sorted(set(chunks))
    assert spell_words([vocabulary.index(chunk) for chunk in chunks], vocabulary) == (words, spans)


def alignment(*steps: tuple[int, int]) -> TokenAlignment:
    begins, ends = zip(*steps, strict=True)
    probs = np.log(np.linspace(0.5, 0.9, len(steps))).astype(np.float32)
    return TokenAlignment(np.array(begins), np.array(ends), probs, 0.0)


def test_words_reach_beyond_their_peaks_and_meet_half_way():
    seconds = [10 + 0.08 * step for step in range(31)]
    first, second, third = time_words(
        ["A", "B", "C"],
        [(0, 1), (1, 3), (3, 4)],
        alignment((0, 1), (2, 3), (5, 6), (20, 21)),
        seconds,
        11.62,
        [0.5, 0.6333, 1.0],
    )
    assert (first.start, first.end) == (10.0, 10.13)
    assert (second.start, second.end) == (10.14, 10.53)
    assert (third.start, third.end) == (11.58, 11.62)
    assert second.confidence == 0.6333


def test_keep_apart():
    words = [Word("A", 0.9, 1.2, 1.0), Word("B", 1.1, 1.15, 1.0), Word("C", 2.0, 2.5, 1.0)]
    assert [(word.start, word.end) for word in keep_apart(words, 1.0)] == [(1.0, 1.2), (1.2, 1.22), (2.0, 2.5)]


class TestAlignText:
    def test_lines_are_segments_and_words_stay_as_written(self, recognizer):
        transcript = align_text(recognizer, noisy(6.0, 1), "The quick fox,\n\njumps — over it.\n")
        assert [segment.text for segment in transcript.segments] == ["The quick fox,", "jumps over it."]
        now = 0.0
        for word in transcript.words:
            assert now <= word.start < word.end <= 6.0
            now = word.end

    def test_what_it_finds_it_aligns_where_it_found_it(self, recognizer):
        samples = noisy(12.0, 2)
        found = recognizer.transcribe(samples, case="model")
        again = align_text(recognizer, samples, found.text)
        assert [(word.text, word.start, word.end) for word in again.words] == [
            (word.text, word.start, word.end) for word in found.words
        ]

    @pytest.mark.parametrize(
        ("text", "reason"), [("", "no words"), (" — !", "no words"), ("25 cats", "'2'"), ("word " * 500, "too short")]
    )
    def test_faults(self, recognizer, text, reason):
        with pytest.raises(DataError, match=reason):
            align_text(recognizer, noisy(3.0, 1), text)

    def test_silence_has_no_words(self, recognizer):
        with pytest.raises(DataError, match="no speech was found in it; it is silent"):
            align_text(recognizer, np.zeros(16000, np.float32), "word")


class TestCommand:
    @pytest.fixture
    def align(self, tiny_model, capsys, monkeypatch):
        def run(*arguments: object) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", ["asr", "align", "-m", str(tiny_model), *map(str, arguments)])
            with pytest.raises(SystemExit) as exit_:
                main.run()
            out, err = capsys.readouterr()
            return int(exit_.value.code or 0), out, err

        return run

    def test_text_or_file(self, align, tmp_path):
        audio, text = tmp_path / "a.wav", tmp_path / "a.txt"
        audio.write_bytes(encode(noisy(5.0, 3), 16000))
        text.write_text("quick\nfox")
        code, out, _ = align(audio, "quick\nfox")
        assert code == 0
        assert json.loads(out)["text"] == "quick fox"
        assert align(audio, text) == (0, out, "")
        assert align(audio, text, "-o", tmp_path / "out.json")[0] == 0
        assert (tmp_path / "out.json").read_text() == out

    def test_a_file_that_is_not_utf_8_is_never_taken_as_text(self, align, tmp_path):
        audio, text = tmp_path / "a.wav", tmp_path / "my notes.txt"
        audio.write_bytes(encode(noisy(5.0, 3), 16000))
        text.write_bytes("café".encode("latin-1"))
        code, out, err = align(audio, text)
        assert (code, out) == (1, "")
        assert "my notes.txt cannot be read" in err

    @pytest.mark.parametrize("name", ["gone.txt", "texts/gone.TRN", "gone.lab"])
    def test_a_file_that_is_missing_is_not_taken_for_speech(self, align, tmp_path, name):
        audio = tmp_path / "a.wav"
        audio.write_bytes(encode(noisy(5.0, 3), 16000))
        code, out, err = align(audio, name)
        assert (code, out) == (1, "")
        assert f"{name} does not exist" in err
        assert align(audio, "read gone.txt")[0] == 0

    def test_ctm(self, align, tmp_path):
        audio = tmp_path / "a.wav"
        audio.write_bytes(encode(noisy(5.0, 3), 16000))
        lines = align(audio, "Quick fox", "-f", "ctm")[1].splitlines()
        assert [line.split()[4] for line in lines] == ["Quick", "fox"]

    def test_faults(self, align, tmp_path):
        code, _, err = align(tmp_path / "gone.wav", "words")
        assert code == 1
        assert "gone.wav does not exist" in err
        assert align(tmp_path / "gone.wav", "words", "-f", "srt")[0] == 2


def test_textgrid_covers_the_recording_without_holes(recognizer):
    transcript = align_text(recognizer, noisy(6.0, 4), 'a "quick" fox')
    lines = [line.strip() for line in as_textgrid(transcript).splitlines()]
    assert lines[0] == 'File type = "ooTextFile"'
    bounds = [float(line.split("= ")[1]) for line in lines if line.startswith(("xmin", "xmax"))][4:]
    assert bounds[0] == 0.0
    assert bounds[-1] == 6.0
    assert bounds[1:-1:2] == bounds[2::2]
    texts = [line.removeprefix("text = ") for line in lines if line.startswith("text")]
    assert [text for text in texts if text != '""'] == ['"a"', '"""quick"""', '"fox"']
    assert f"intervals: size = {len(texts)}" in lines


def test_another_program_reads_the_textgrid(recognizer, tmp_path):
    textgrid = pytest.importorskip("textgrid", reason="needs the PyPI package textgrid")
    transcript = align_text(recognizer, noisy(6.0, 4), "a quick fox")
    path = tmp_path / "a.TextGrid"
    path.write_text(as_textgrid(transcript))
    intervals = [each for each in textgrid.TextGrid.fromFile(str(path))[0] if each.mark]
    assert [(each.mark, each.minTime, each.maxTime) for each in intervals] == [
        (word.text, word.start, word.end) for word in transcript.words
    ]
