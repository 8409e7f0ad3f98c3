"""A network gets used to a voice: by its own words, in its norms alone, and the one before stays as it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import asr
from asr.cli.main import app
from asr.errors import UsageError
from asr.model.ctc import pad_targets, sequence_losses
from asr.transcription.adaptation import LEARNED_SECONDS, PASSES, adapt, seconds_to_hear, spread
from tests.audio.recordings import encode, noisy

VOICE = [noisy(4.0, seed) for seed in range(3)]


KINDS = [("tiny_model", "float32"), ("tiny_phone_model", "float32"), ("tiny_phone_model", "bfloat16")]


@pytest.fixture(scope="module", params=KINDS, ids=" ".join)
def recognizer(request):
    model, precision = request.param
    return asr.load_model(request.getfixturevalue(model), precision=precision)


def weights(recognizer):
    return {name: tensor.clone() for name, tensor in recognizer.model.network.state_dict().items()}


def surprise(recognizer, texts):
    """How improbable the texts are in VOICE, to the network."""
    network = recognizer.model.network
    with torch.inference_mode():
        features = network.features(torch.from_numpy(np.stack(VOICE)), torch.tensor([len(v) for v in VOICE]))
        outputs = network.recognize(*features, recognizer.reads_phones)
        return float(sequence_losses(*outputs, *pad_targets([recognizer.encode(text) for text in texts])).sum())


def test_it_expects_what_it_recognized_and_changes_little(recognizer):
    texts = [recognizer.transcribe(each, case="upper", punctuation=False).text for each in VOICE]
    assert all(texts)
    before = weights(recognizer)
    adapted = adapt(recognizer, VOICE)
    after = weights(adapted)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(recognizer).items()), "the model itself"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("norm" in name for name in changed)
    assert surprise(adapted, texts) < surprise(recognizer, texts)
    assert adapted.transcribe(VOICE[0]).text
    assert not any(parameter.requires_grad for parameter in adapted.model.network.parameters())


def test_the_same_recordings_give_the_same_weights(recognizer):
    first, second = (weights(adapt(recognizer, VOICE)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_cannot_be_read_or_says_nothing_changes_nothing(recognizer, tmp_path):
    torn = tmp_path / "torn.wav"
    torn.write_bytes(b"RIFF")
    assert adapt(recognizer, [torn, np.zeros(16000, np.float32)]) is recognizer
    with_torn, without = (weights(adapt(recognizer, audio)) for audio in ([torn, VOICE[0]], [VOICE[0]]))
    assert all(torch.equal(with_torn[name], without[name]) for name in without)


def test_it_stops_when_it_has_heard_enough(recognizer):
    told: list[float] = []
    adapt(recognizer, [asr.Request(noisy(4.0, seed)) for seed in range(5)], 8.0, told.append)
    assert 8.0 * (1 + PASSES) <= sum(told) <= 12.0 * (1 + PASSES)


def test_what_is_heard_is_foretold(recognizer):
    told: list[float] = []
    adapt(recognizer, [noisy(2.0, seed) for seed in range(3)], on_progress=told.append)
    assert sum(told) == pytest.approx(seconds_to_hear(6.0), abs=0.1)
    assert seconds_to_hear(1e9) == (1 + PASSES) * LEARNED_SECONDS
    assert seconds_to_hear(None) is None


@pytest.mark.parametrize("count", [1, 2, 7, 8, 100])
def test_every_beginning_of_the_order_is_spread_evenly(count):
    order = spread(range(count))
    assert sorted(order) == list(range(count))
    for size in (1, 2, 4):
        places = sorted(order[:size])
        if count >= 2 * size:
            assert all(place < (number + 1) * 2 * count / size for number, place in enumerate(places))
            assert max(np.diff([*places, count])) <= 1.5 * 2 ** (count - 1).bit_length() / size


def manifest_of(tmp_path, speakers):
    lines = []
    for number, speaker in enumerate(speakers):
        audio = tmp_path / f"u{number}.wav"
        audio.write_bytes(encode(noisy(2.0, number), 16000))
        lines.append({"id": f"u{number}", "audio_filepath": str(audio), "duration": 2.0, "text": "THE FOX"})
        lines[-1] |= {"speaker": speaker} if speaker else {}
    path = tmp_path / "dev.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(*arguments, **options):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def test_evaluation_adapts_to_each_speaker(tiny_phone_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = manifest_of(tmp_path, ["anna", "ben", "anna", None])
    result = run("evaluate", tiny_phone_model, manifest, "--adapt", "--device", "cpu")
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "reports").iterdir()
    assert folder.name.endswith("-adapted")
    assert json.loads((folder / "report.json").read_text())["settings"]["decoding"]["adapted"] == "to each speaker"
    said = {row["id"]: row["pred_text"] for row in map(json.loads, (folder / "hypotheses.jsonl").open())}
    assert list(said) == ["u0", "u1", "u2", "u3"]
    recognizer = asr.load_model(tiny_phone_model)
    anna = adapt(recognizer, [tmp_path / "u0.wav", tmp_path / "u2.wav"])
    for identity, used in [("u0", anna), ("u2", anna), ("u3", recognizer)]:
        text = used.transcribe(tmp_path / f"{identity}.wav", case="upper", punctuation=False).text
        assert said[identity] == text


def test_strangers_are_no_voice(tiny_phone_model, tmp_path):
    result = run("evaluate", tiny_phone_model, manifest_of(tmp_path, [None, None]), "--adapt", "-o", tmp_path / "out")
    assert "names no speaker to adapt to" in str(result.exception)


def test_transcribe_adapts_to_all_that_it_is_given(tiny_phone_model, tmp_path):
    data = encode(noisy(4.0, 1), 16000)
    (tmp_path / "talk.wav").write_bytes(data)
    options = ["-m", tiny_phone_model, "--adapt", "--no-punctuation", "--case", "upper", "--device", "cpu"]
    file = run("transcribe", tmp_path / "talk.wav", *options)
    piped = run("transcribe", "-", *options, input=data)
    assert file.exit_code == piped.exit_code == 0, file.output + piped.output
    assert file.stderr == "asr: getting used to the voices\n"
    expected = adapt(asr.load_model(tiny_phone_model), [data]).transcribe(data, case="upper", punctuation=False)
    assert file.stdout.strip() == piped.stdout.strip() == expected.text

    refused = run("transcribe", tmp_path / "talk.wav", *options, "--engine", "ray")
    assert isinstance(refused.exception, UsageError)
