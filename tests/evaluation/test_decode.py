from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.cli.main import app
from asr.corpus.manifest import Utterance, write_manifest
from asr.decoding import DecodingConfig, spell
from asr.errors import AsrError, AudioError
from asr.evaluation.decode import PART, Example, decode_manifest, evenly, manifest_emissions, request_of
from asr.transcription.decoder import DecodeOptions
from asr.transcription.recognizer import load_model
from tests.audio.recordings import encode, noisy
from tests.decoding.conftest import ARPA

RATE = 16000


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "three.wav"
    path.write_bytes(encode(noisy(3.0, 1), RATE))
    return path


@pytest.mark.parametrize("duration", [2.95, 3.0, 3.5])
def test_all_of_a_recording_is_left_to_the_recognizer(audio: Path, duration: float) -> None:
    assert request_of(Utterance("u", audio, duration), RATE).audio == audio


@pytest.mark.parametrize(("offset", "duration"), [(0.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.8)])
def test_of_a_part_nothing_else_is_heard(audio: Path, offset: float, duration: float) -> None:
    part = request_of(Utterance("u", audio, duration, offset=offset), RATE)
    assert isinstance(part.audio, np.ndarray)
    assert part.sample_rate == RATE
    assert len(part.audio) == round(duration * RATE)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_recording_that_is_missing_is_named(audio: Path, offset: float) -> None:
    audio.unlink()
    with pytest.raises(AudioError, match=r"three\.wav"):
        request_of(Utterance("u", audio, 3.0, offset=offset), RATE)


@pytest.mark.parametrize(("offset", "duration"), [(3.0, 1.0), (9.0, 1.0), (0.0, 0.0), (1.0, 0.0)])
def test_a_stretch_without_any_sound_is_named(audio: Path, offset: float, duration: float) -> None:
    with pytest.raises(AudioError, match=rf"three\.wav has no sound of {duration:g} s from {offset:g} s on"):
        request_of(Utterance("u", audio, duration, offset=offset), RATE)


class Silent:
    """A recognizer of nothing."""

    def transcribe_many(self, requests: Any, **options: Any) -> Iterator[Any]:
        return iter(())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(AsrError, match=r"cannot write .*taken"):
        decode_manifest(Silent(), [], tmp_path / "taken", {})  # type: ignore[arg-type]


def test_a_first_line_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    (tmp_path / PART).write_text('{"search": "greedy"}')
    decode_manifest(Silent(), [], tmp_path, {"search": "greedy"})  # type: ignore[arg-type]
    assert (tmp_path / PART).read_text() == '{"search": "greedy"}\n'


@pytest.mark.parametrize("torn", ["\0" * 40, '{"id": "u2"}', "[1]"])
def test_what_an_interrupted_run_left_is_taken_as_far_as_it_can_be_read(tmp_path: Path, torn: str) -> None:
    whole = '{"search": "greedy"}\n{"id": "u1", "text": "a", "seconds": 1.0, "took": 0.1}\n'
    (tmp_path / PART).write_text(f"{whole}{torn}\n")
    found = decode_manifest(Silent(), [], tmp_path, {"search": "greedy"})  # type: ignore[arg-type]
    assert list(found.texts) == ["u1"]
    assert (tmp_path / PART).read_text() == whole


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    generator = np.random.default_rng(2)
    utterances = []
    for number, seconds in enumerate((1.0, 3.0, 2.0)):
        audio = tmp_path / f"{number}.wav"
        soundfile.write(audio, generator.normal(size=int(16000 * seconds)) * 0.1, 16000)
        utterances.append(Utterance(f"u{number}", audio, seconds, "A B"))
    utterances.append(Utterance("part", tmp_path / "1.wav", 1.5, "B", offset=1.0))
    write_manifest(tmp_path / "dev.jsonl", utterances)
    return tmp_path / "dev.jsonl"


def test_the_network_runs_once_for_the_same_weights_and_data(tiny_model, manifest, tmp_path):
    recognizer = load_model(tiny_model, precision="float32", search=DecodeOptions(greedy=True))
    cache = tmp_path / "emissions.npz"
    counted = []
    first = manifest_emissions(recognizer, manifest, cache, counted.append)
    assert sum(counted) == 4
    assert [each.reference for each in first] == ["A B", "A B", "A B", "B"]
    lengths = [sum(map(len, each.chunks)) for each in first]
    assert lengths[0] < lengths[3] < lengths[2] < lengths[1]
    for path in tmp_path.glob("*.wav"):
        path.unlink()
    again = manifest_emissions(recognizer, manifest, cache)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(np.concatenate(one.chunks), np.concatenate(other.chunks))
    manifest.write_text(manifest.read_text().replace('"A B"', '"B A"'))
    with pytest.raises(AudioError):  # heard anew, and nothing is left
        manifest_emissions(recognizer, manifest, cache)


def test_what_is_heard_is_what_the_recognizer_hears(tiny_model, manifest, tmp_path):
    recognizer = load_model(tiny_model, precision="float32", search=DecodeOptions(greedy=True))
    examples = manifest_emissions(recognizer, manifest, tmp_path / "emissions.npz")
    for number in range(3):
        text = recognizer.transcribe(tmp_path / f"{number}.wav", words=False, case="upper", punctuation=False).text
        best = np.concatenate(examples[number].chunks).argmax(axis=1)
        tokens = [t for i, t in enumerate(best.tolist()) if t and (i == 0 or t != best[i - 1])]
        assert spell(recognizer.model.tokenizer.vocabulary, tokens).upper() == text


@pytest.mark.parametrize("number", [0, 1])  # a whole recording, and one of which a part is an utterance as well
def test_a_recording_that_is_missing_ends_it_and_leaves_nothing(tiny_model, manifest, tmp_path, number):
    recognizer = load_model(tiny_model, precision="float32", search=DecodeOptions(greedy=True))
    audio = tmp_path / f"{number}.wav"
    audio.rename(tmp_path / "elsewhere.wav")
    with pytest.raises(AudioError, match=audio.name):
        manifest_emissions(recognizer, manifest, tmp_path / "emissions.npz")
    assert not (tmp_path / "emissions.npz").exists()
    (tmp_path / "elsewhere.wav").rename(audio)
    assert all(each.chunks for each in manifest_emissions(recognizer, manifest, tmp_path / "emissions.npz"))


def test_a_torn_cache_is_made_anew(tiny_model, manifest, tmp_path):
    recognizer = load_model(tiny_model, precision="float32", search=DecodeOptions(greedy=True))
    cache = tmp_path / "emissions.npz"
    cache.write_bytes(b"PK\x03\x04 torn")
    assert len(manifest_emissions(recognizer, manifest, cache)) == 4
    whole = cache.read_bytes()
    place = len(whole) // 2  # among the log-probabilities
    cache.write_bytes(whole[:place] + bytes(byte ^ 255 for byte in whole[place : place + 8]) + whole[place + 8 :])
    assert len(manifest_emissions(recognizer, manifest, cache)) == 4
    assert cache.read_bytes()[place : place + 8] == whole[place : place + 8]


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [(6, 3, "024"), (7, 3, "024"), (8, 3, "025"), (5, 4, "0123"), (3, 3, "012"), (2, 5, "01"), (4, 1, "0"), (0, 2, "")],
)
def test_as_many_as_were_asked_for_are_chosen_from_everywhere(there, wanted, chosen):
    examples = [Example(str(number), ()) for number in range(there)]
    assert "".join(each.reference for each in evenly(examples, wanted)) == chosen


def test_the_command_writes_settings_that_the_recognizer_then_uses(tiny_model, manifest, tmp_path):
    model, lm, out = tmp_path / "model", tmp_path / "tiny.arpa", tmp_path / "tuning"
    shutil.copytree(tiny_model, model)
    lm.write_text(ARPA, encoding="utf-8")
    arguments = ["lm", "tune", str(model), str(manifest), "--lm", str(lm), "-o", str(out), "--beam", "8"]
    result = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert not (model / "decoding.json").exists()
    (model / "decoding.json").write_text(
        '{"beam_size": 9, "views": 2, "closed_vocabulary": true, "end_of_sentence": false, "unk_score": -9}'
    )
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    tuning = json.loads((out / "tuning.json").read_text())
    settings = json.loads((model / "decoding.json").read_text())
    assert DecodingConfig(**settings) == DecodingConfig(**tuning["best"])
    assert (settings["beam_size"], settings["closed_vocabulary"], settings["end_of_sentence"]) == (8, True, False)
    assert settings["views"] == 2  # neither given nor tuned
    assert CliRunner().invoke(app, arguments[:-2]).exit_code == 0
    assert json.loads((model / "decoding.json").read_text())["beam_size"] == 8  # as it was
    assert np.shape(tuning["wer"]) == (len(tuning["weights"]), len(tuning["bonuses"]))
    assert (out / "heat_map.svg").exists()
    assert load_model(model, lm=str(lm)).transcribe(tmp_path / "0.wav") is not None
