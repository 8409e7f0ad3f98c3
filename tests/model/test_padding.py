"""Padding never changes a result: an utterance alone and inside any batch has the same log-probabilities."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.config import validate
from asr.errors import UsageError
from asr.features.extractor import FeatureConfig
from asr.model.acoustic import AcousticConfig, AcousticModel, EncoderConfig
from tests.features.signals import speechlike

rnn_types = st.sampled_from(["bidirectional", "unidirectional", "none"])


def network(rnn_type: str, strides: list[int], layers: int = 2, seed: int = 1) -> AcousticModel:
    torch.manual_seed(seed)
    encoder = EncoderConfig(rnn_type=rnn_type, layers=layers, width=12, channels=[3] * len(strides), strides=strides)
    return AcousticModel(AcousticConfig(FeatureConfig(size=16), encoder), vocabulary=7).eval()


@settings(max_examples=40, deadline=None)
@given(
    rnn_type=rnn_types,
    strides=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3),
    lengths=st.lists(st.integers(0, 40), min_size=2, max_size=5),
    padding=st.integers(0, 20),
    rubbish=st.floats(-10, 10),
)
def test_features_alone_and_in_any_batch(
    rnn_type: str, strides: list[int], lengths: list[int], padding: int, rubbish: float
) -> None:
    model = network(rnn_type, strides)
    batch = torch.randn(len(lengths), max(1, max(lengths) + padding), 16, generator=torch.Generator().manual_seed(1))
    for row, length in enumerate(lengths):
        batch[row, length:] = rubbish
    with torch.inference_mode():
        together, steps = model.recognize(batch, torch.tensor(lengths))
        assert steps.tolist() == model.encoder.steps(torch.tensor(lengths)).tolist()
        for row, length in enumerate(lengths):
            alone, count = model.recognize(batch[row : row + 1, : max(1, length)], torch.tensor([length]))
            assert int(count) == int(steps[row])
            torch.testing.assert_close(together[row, : int(count)], alone[0, : int(count)], rtol=0, atol=1e-5)


@pytest.mark.parametrize("rnn_type", ["bidirectional", "unidirectional", "none"])
@pytest.mark.parametrize("strides", [[1], [2, 2], [3, 2, 2]])
def test_waveforms_alone_and_in_any_batch(rnn_type: str, strides: list[int]) -> None:
    model = network(rnn_type, strides)
    lengths = [16000, 4321, 12345, 8000, 399, 0]
    batch = torch.full((len(lengths), 19000), 0.3)
    for row, length in enumerate(lengths):
        batch[row, :length] = speechlike(length, seed=row)[0]
    with torch.inference_mode():
        together, steps = model(batch, torch.tensor(lengths))
        assert steps.tolist() == model.steps(torch.tensor(lengths)).tolist()
        for row, length in enumerate(lengths):
            alone, count = model(batch[row : row + 1, :length], torch.tensor([length]))
            assert int(count) == int(steps[row])
            torch.testing.assert_close(together[row, : int(count)], alone[0, : int(count)], rtol=0, atol=1e-5)


@pytest.mark.parametrize("rnn_type", ["bidirectional", "unidirectional", "none"])
def test_gradients_of_a_batch_are_those_of_its_utterances(rnn_type: str) -> None:
    model = network(rnn_type, [2, 2])
    lengths = [5000, 3000, 1200]
    batch = torch.zeros(3, 6000)
    for row, length in enumerate(lengths):
        batch[row, :length] = speechlike(length, seed=row)[0]

    def gradients(rows: list[tuple[torch.Tensor, int]]) -> list[torch.Tensor]:
        model.zero_grad()
        for samples, length in rows:
            log_probs, steps = model(samples, torch.tensor([length]))
            log_probs[0, : int(steps), 2].sum().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    alone = gradients([(batch[row : row + 1, :length], length) for row, length in enumerate(lengths)])
    model.zero_grad()
    log_probs, steps = model(batch, torch.tensor(lengths))
    sum(log_probs[row, : int(count), 2].sum() for row, count in enumerate(steps)).backward()
    for parameter, wanted in zip(model.parameters(), alone, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-4)


def test_what_each_memory_hears() -> None:
    """Change the end of an utterance: only a bidirectional network's beginning may notice, at any distance."""
    first = speechlike(16000)
    second = first.clone()
    second[:, 14000:] = 0.2 * torch.randn(1, 2000, generator=torch.Generator().manual_seed(1))
    changed = {}
    for rnn_type in ("bidirectional", "unidirectional", "none"):
        model = network(rnn_type, [2, 2], layers=1)
        features = [model.features.transform(x, torch.tensor([16000])) for x in (first, second)]
        one, other = (model.recognize(*pair)[0][0, :10] for pair in features)
        changed[rnn_type] = not torch.equal(one, other)
    assert changed == {"bidirectional": True, "unidirectional": False, "none": False}


@pytest.mark.parametrize(("strides", "steps"), [([1], 98), ([2, 2], 25), ([2, 2, 2], 13), ([3, 2], 17), ([3, 3, 3], 4)])
def test_steps_of_a_second(strides: list[int], steps: int) -> None:
    model = network("none", strides)
    log_probs, lengths = model(speechlike(16000), torch.tensor([16000]))
    assert lengths.tolist() == [steps] == [log_probs.shape[1]]
    assert model.frame_seconds == pytest.approx(0.01 * torch.tensor(strides).prod().item())
    torch.testing.assert_close(log_probs.exp().sum(dim=2), torch.ones(1, steps))


@pytest.mark.parametrize(("rate", "shift_ms"), [(22050, 10.0), (11025, 8.0), (44100, 2.5)])
def test_steps_last_whole_samples(rate: int, shift_ms: float) -> None:
    features = FeatureConfig(size=16, sample_rate=rate, shift_ms=shift_ms)
    model = AcousticModel(AcousticConfig(features, EncoderConfig(layers=1, width=2, channels=[1], strides=[2])), 3)
    hour = 3600 * rate
    assert int(model.steps(torch.tensor(hour))) * model.frame_seconds == pytest.approx(3600, abs=0.1)


@pytest.mark.parametrize("rnn_type", ["bidirectional", "unidirectional", "none"])
def test_bfloat16_is_close(rnn_type: str) -> None:
    model = network(rnn_type, [2, 2])
    exact, _ = model(speechlike(8000), torch.tensor([8000]))
    with torch.autocast("cpu", torch.bfloat16):
        rough, _ = model(speechlike(8000), torch.tensor([8000]))
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"width": 13}, "even"),
        ({"layers": 0}, "layers must be positive"),
        ({"strides": [2, 2]}, "same length"),
        ({"strides": [2, 2, 4]}, "1, 2 or 3"),
        ({"dropout": 1.0}, "dropout"),
        ({"rnn_type": "lstm"}, "'bidirectional', 'unidirectional' or 'none'"),
    ],
)
def test_wrong_sizes_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        validate(EncoderConfig, wrong, "here")
