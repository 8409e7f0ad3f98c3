from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import asr
from asr.cli.main import app
from asr.corpus.manifest import Utterance
from asr.errors import AudioError, DataError, ModelError, UsageError
from asr.evaluation.calibration import aligned_words, calibrate, quality, recognized_words, sounds_without_words
from asr.model.forced_alignment import TokenAlignment
from asr.transcription.confidence import (
    FEATURES,
    SMALLEST,
    Calibration,
    fit,
    least_certain,
    load_confidence,
    save_calibrations,
    sigmoid,
    with_products,
    word_features,
)
from asr.transcription.recognizer import load_acoustic_model
from tests.audio.recordings import encode, noisy

ALIGNMENT = TokenAlignment(np.arange(3), np.arange(3) + 1, np.log([0.5, 0.8, 0.4]).astype(np.float32), -3.0)


class TestQuality:
    def test_literally(self):
        found = quality(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, True, False, True]))
        assert found.words == 4
        assert found.correct == 0.75
        # |1.8 − 2| in one bin and |0.2 − 1| in the other, over four words
        assert found.expected_calibration_error == pytest.approx(0.25)
        assert found.auroc == pytest.approx(2.5 / 3)

    def test_the_mean_everywhere_takes_away_nothing(self):
        found = quality(np.full(4, 0.75), np.array([True, True, False, True]))
        assert found.normalized_cross_entropy == pytest.approx(0)
        assert found.expected_calibration_error == pytest.approx(0)
        assert found.auroc == 0.5

    def test_where_all_words_are_right_nothing_is_uncertain(self):
        found = quality(np.array([0.9, 0.7]), np.array([True, True]))
        assert found.expected_calibration_error == pytest.approx(0.2)
        assert np.isnan([found.normalized_cross_entropy, found.auroc]).all()

    def test_certainty_is_one(self):
        found = quality(np.array([1.0, 0.0]), np.array([True, False]))
        assert (found.normalized_cross_entropy, found.auroc) == (pytest.approx(1), 1.0)


def test_fit_finds_the_weights_that_made_the_data():
    random = np.random.default_rng(0)
    features = random.normal(size=(40000, 2)) * [3.0, 0.5] + [7.0, -1.0]
    first, second = ((features - features.mean(axis=0)) / features.std(axis=0)).T
    truth = sigmoid(0.3 + first - 2.0 * second + 0.5 * first * second)
    calibration = fit(features, random.random(40000) < truth, ridge=1e-2)
    assert calibration.bias == pytest.approx(0.3, abs=0.06)
    np.testing.assert_allclose(calibration.weights, [1.0, -2.0, 0.0, 0.5, 0.0], atol=0.08)
    np.testing.assert_allclose(calibration(features), truth, atol=0.05)


def test_a_feature_that_never_changes_is_left_alone():
    random = np.random.default_rng(0)
    features = np.column_stack([np.full(500, 2.0), random.normal(size=500)])
    calibration = fit(features, random.random(500) < 0.7)
    assert np.isfinite(calibration(features)).all()
    assert calibration(features).mean() == pytest.approx(0.7, abs=0.05)


def test_words_far_from_all_others_lead_nowhere():
    """With whole steps of Newton's method the weights went to a thousand million here."""
    random = np.random.default_rng(0)
    features = -np.exp(random.normal(0, 2.5, size=(3000, 3)))
    correct = random.random(3000) < sigmoid(4 + features[:, 0].clip(-8, 0))
    calibration = fit(features, correct, ridge=1e-2)
    assert calibration(features).mean() == pytest.approx(correct.mean(), abs=1e-3)
    assert quality(calibration(features), correct).auroc > 0.9


def test_products_of_each_two():
    expanded = with_products(np.array([[2.0, 3.0, 5.0]]))
    assert expanded.tolist() == [[2, 3, 5, 4, 6, 9, 10, 15, 25]]


def test_features_of_words():
    rows = word_features(["THE", "CATS"], [(0, 1), (1, 3)], ALIGNMENT)
    assert rows.shape == (2, len(FEATURES))
    alone = [1, np.log(SMALLEST)]  # one hypothesis: nothing speaks against the word
    aligned = [np.log(0.4), np.log(0.32), 0.4, 0.32, 2, 4, 2, 0.5, -1.5]
    np.testing.assert_allclose(rows[1], [*aligned, alone[0], 0, alone[1]], rtol=1e-6)
    rows = word_features(["THE", "CATS"], [(0, 1), (1, 3)], ALIGNMENT, [1.0, 0.25])
    np.testing.assert_allclose(rows[1], [*aligned, 0.25, np.log(0.25), np.log(0.75)], rtol=1e-6)
    np.testing.assert_allclose(least_certain(rows), [0.5, 0.4], rtol=1e-6)
    assert word_features([], [], ALIGNMENT).shape == (0, len(FEATURES))


def test_saved_and_loaded(tmp_path):
    assert load_confidence(tmp_path) is least_certain
    count = len(FEATURES)
    calibration_weights = [0.3] * (count + count * (count + 1) // 2)
    other = Calibration(0.1, [0.0] * count, [1.0] * count, calibration_weights, [-1.0] * count, [1.0] * count)
    calibration = Calibration(0.2, [0.1] * count, [2.0] * count, [0.3] * (count + count * (count + 1) // 2))
    save_calibrations(tmp_path, {"beam": calibration, "greedy": other})
    assert [load_confidence(tmp_path, search) for search in ("beam", "greedy")] == [calibration, other]
    assert load_confidence(tmp_path, "fast") is load_confidence(tmp_path, None) is least_certain
    old = {"bias": 0.2, "centre": [0.1] * count, "spread": [2.0] * count, "weights": calibration.weights}
    (tmp_path / "confidence.json").write_text(json.dumps(old))
    assert load_confidence(tmp_path) == calibration, "as models had it before: of the beam alone"
    assert load_confidence(tmp_path, "greedy") is least_certain
    of_one = '{"bias": 0, "center": [0], "spread": [1], "weights": [1, 1]}'
    for content in (
        "{",
        f'{{"beam": {of_one}}}',
        of_one,
        of_one.replace("[0]", "[0, 0]"),
        '{"weights": "x"}',
        '{"other": 1}',
    ):
        (tmp_path / "confidence.json").write_text(content)
        with pytest.raises(ModelError, match=r"confidence\.json"):
            load_confidence(tmp_path)


@pytest.fixture
def utterances(tmp_path):
    """Recordings, and as their texts what the tiny model makes of the first half of each kind of word."""
    paths = [tmp_path / f"{number}.wav" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(noisy(3.0, number), 16000))
    return [Utterance(path.stem, path, 3.0, "WORD") for path in paths]


def test_calibrated_words_say_how_often_they_are_right(tiny_model, utterances, monkeypatch):
    monkeypatch.setattr("asr.evaluation.calibration.sounds_without_words", lambda rate: [])
    recognizer = asr.load_model(tiny_model)
    texts = [recognizer.transcribe(each.audio, case="model").text for each in utterances]
    known = [
        Utterance(each.id, each.audio, 3.0, text if number % 3 else "WRONG " * len(text.split()))
        for number, (each, text) in enumerate(zip(utterances, texts, strict=True))
    ]
    words = sum(len(text.split()) for text in texts)
    right = sum(len(text.split()) for number, text in enumerate(texts) if number % 3)
    calibration = calibrate(recognizer, known)
    assert recognizer.confidence == calibration
    assert not any(word.features for word in recognizer.transcribe(utterances[0].audio).words)
    found = [word.confidence for each in utterances for word in recognizer.transcribe(each.audio).words]
    assert len(found) == words
    assert np.mean(found) == pytest.approx(right / words, abs=0.05)


def test_a_sentence_that_all_read_was_said_by_all(tiny_model, utterances, monkeypatch):
    monkeypatch.setattr("asr.evaluation.calibration.sounds_without_words", lambda rate: [])
    words, said = aligned_words(load_acoustic_model(tiny_model), utterances)
    assert (len(words), said.all()) == (len(utterances), True)


def test_a_part_of_a_recording_is_read_alone(tiny_model, tmp_path):
    audio = tmp_path / "both.wav"
    audio.write_bytes(encode(noisy(6.0, 1), 16000))
    recognizer = asr.load_model(tiny_model)
    parts = [Utterance("first", audio, 3.0), Utterance("second", audio, 3.0, offset=3.0)]
    words, _ = recognized_words(recognizer, parts)
    assert len(words) >= 2
    assert max(word.end for word in words) <= 3.0


def test_a_recording_that_is_missing_is_named(tiny_model, utterances):
    utterances[3].audio.unlink()
    with pytest.raises(AudioError, match=utterances[3].audio.name):
        calibrate(asr.load_model(tiny_model), utterances)


@pytest.fixture
def few_sounds(monkeypatch):
    """Of the sounds without words a few short ones."""
    few = sounds_without_words(16000, 1.0)[::6]
    monkeypatch.setattr("asr.evaluation.calibration.sounds_without_words", lambda rate: few)


def test_nothing_can_be_learnt_of_words_that_are_all_wrong(tiny_model, utterances, few_sounds):
    recognizer = asr.load_model(tiny_model)
    with pytest.raises(DataError, match="all right or all wrong"):
        calibrate(recognizer, utterances)
    assert recognizer.confidence is least_certain


def test_a_calibration_says_no_more_than_at_the_edge_of_what_it_knows():
    random = np.random.default_rng(0)
    features = random.uniform(-1, 1, size=(2000, 2))
    calibration = fit(features, features[:, 0] + random.normal(size=2000) > 0, ridge=1e-2)
    edge = calibration(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    far = calibration(np.array([[50.0, 0.0], [-50.0, 0.0]]))
    np.testing.assert_allclose(far, edge, atol=0.01)


def test_every_way_to_search_gets_a_calibration(tiny_phone_model, tmp_path, few_sounds):
    folder = shutil.copytree(tiny_phone_model, tmp_path / "model")
    known = []
    for number in range(6):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(encode(noisy(3.0, number), 16000))
        ways = [{"greedy": True}, {"fast": True}, {}]
        text = asr.load_model(folder, **ways[number // 2]).transcribe(path, case="model").text
        known.append(Utterance(path.stem, path, 3.0, f"{text} THE FOX".strip()))
    with (tmp_path / "dev.jsonl").open("w") as file:
        file.writelines(each.to_json(tmp_path) + "\n" for each in known)
    result = CliRunner().invoke(
        app, ["calibrate", str(folder), str(tmp_path / "dev.jsonl"), "--report-on", str(tmp_path / "dev.jsonl")]
    )
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["greedy", "fast", "beam", "align"]
    assert set(json.loads((folder / "confidence.json").read_text())) == {"greedy", "fast", "beam", "align"}
    kinds = [{"greedy": True}, {"fast": True}, {}, {"lm": "none", "beam_size": 5}]
    found = [asr.load_model(folder, **options).confidence for options in kinds]
    assert found[3] is least_certain, "a beam without language model has no calibration"
    assert len({id(each) for each in found}) == 4


def test_the_bundled_model_is_not_rewritten(tmp_path):
    (tmp_path / "dev.jsonl").write_text("")
    result = CliRunner().invoke(app, ["calibrate", "default", str(tmp_path / "dev.jsonl")])
    assert isinstance(result.exception, UsageError)


def test_sounds_without_words_are_bounded_and_the_same_every_time():
    first, again = sounds_without_words(16000, 1.0), sounds_without_words(16000, 1.0)
    assert len(first) >= 30
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)
        assert one.shape == (16000,)
        assert 0 < np.abs(one).max() <= 0.3 + 1e-6
