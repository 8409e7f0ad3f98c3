"""The scribe reads phones and writes tokens: padding changes nothing, and a model with one writes by it alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.config import validate
from asr.errors import UsageError
from asr.features.extractor import FeatureConfig
from asr.model.acoustic import AcousticConfig, AcousticModel
from asr.model.encoder import EncoderConfig
from asr.model.quantised import quantise
from asr.model.scribe import Scribe, ScribeConfig


def scribe(together: int = 2) -> Scribe:
    torch.manual_seed(1)
    return Scribe(ScribeConfig(layers=2, width=12, together=together), phones=5, vocabulary=7).eval()


def heard(batch: int, steps: int) -> torch.Tensor:
    return torch.randn(batch, steps, 5, generator=torch.Generator().manual_seed(1)).log_softmax(dim=2)


def network(scribe: ScribeConfig | None = None) -> AcousticModel:
    torch.manual_seed(2)
    encoder = EncoderConfig(layers=1, width=12, channels=[3, 3], strides=[2, 2])
    config = AcousticConfig(FeatureConfig(size=16), encoder, phones=True, scribe=scribe)
    return AcousticModel(config, vocabulary=7).eval()


@settings(max_examples=40, deadline=None)
@given(
    together=st.integers(1, 3),
    lengths=st.lists(st.integers(0, 20), min_size=2, max_size=5),
    padding=st.integers(0, 7),
    rubbish=st.floats(-10, 10),
)
def test_alone_and_in_any_batch(together: int, lengths: list[int], padding: int, rubbish: float) -> None:
    subject = scribe(together)
    batch = heard(len(lengths), max(1, max(lengths) + padding))
    for row, length in enumerate(lengths):
        batch[row, length:] = rubbish
    with torch.inference_mode():
        written = subject(batch, torch.tensor(lengths))
        assert written.shape == (*batch.shape[:2], 7)
        for row, length in enumerate(lengths):
            alone = subject(batch[row : row + 1, : max(1, length)], torch.tensor([length]))
            torch.testing.assert_close(written[row, :length], alone[0, :length], rtol=0, atol=1e-5)


def test_every_step_is_a_distribution_in_float32() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        written = scribe()(heard(2, 9), torch.tensor([9, 4]))
    assert written.dtype == torch.float32
    torch.testing.assert_close(written.exp().sum(dim=2), torch.ones(2, 9))


def test_it_remembers_what_came_before_and_after() -> None:
    first = heard(1, 30)
    second = first.clone()
    second[0, 15] = first[0, 0]
    changed = (scribe()(first, torch.tensor([30])) != scribe()(second, torch.tensor([30]))).any(dim=2)[0]
    assert changed.all()


def test_a_model_writes_by_its_scribe_and_hears_as_before() -> None:
    with_scribe, without = network(ScribeConfig(layers=1, width=8)), network()
    without.load_state_dict(with_scribe.state_dict(), strict=False)
    features, lengths = torch.randn(2, 40, 16), torch.tensor([40, 21])
    phones, steps = with_scribe.recognise(features, lengths, phones=True)
    assert torch.equal(phones, without.recognise(features, lengths, phones=True)[0])
    written, counts = with_scribe.recognise(features, lengths)
    assert torch.equal(counts, steps)
    torch.testing.assert_close(written, with_scribe.scribe(phones, steps))
    assert not torch.equal(written, without.recognise(features, lengths)[0])


def test_in_eight_bits_it_is_close() -> None:
    exact = network(ScribeConfig(layers=1, width=8))
    features, lengths = torch.randn(1, 40, 16), torch.tensor([40])
    rough = quantise(exact).recognise(features, lengths)[0]
    torch.testing.assert_close(rough, exact.recognise(features, lengths)[0], rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scribe": {"together": 0}, "phones": True}, "together must be at least 1"),
        ({"scribe": {"width": 7}, "phones": True}, "even"),
        ({"scribe": {}}, "phones must be true"),
    ],
)
def test_wrong_sizes_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        validate(AcousticConfig, wrong, "here")
