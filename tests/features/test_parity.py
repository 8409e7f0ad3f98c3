"""Our features beside those of Kaldi (as torchaudio computes them) and of librosa."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchaudio.compliance import kaldi

from asr.features.filterbank import FRAME_SECONDS, PREEMPHASIS, Filterbank, Mfcc, differences
from tests.features.signals import speechlike

RATES = [8000, 16000, 22050]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("bands", [23, 40, 80])
def test_filterbank_equals_kaldi(rate: int, bands: int) -> None:
    signal = speechlike(rate + 123)
    ours, frames = Filterbank(rate, bands)(signal, torch.tensor([signal.shape[1]]))
    theirs = kaldi.fbank(signal * 32768, num_mel_bins=bands, sample_frequency=rate, dither=0.0)
    assert int(frames) == len(theirs) == ours.shape[1]
    torch.testing.assert_close(ours[0], theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("utterances", "steps"), [(3, 1000), (3, 70), (2, 299), (1, 1)])
def test_any_blocks_give_the_same_energies(utterances: int, steps: int) -> None:
    filterbank = Filterbank()
    signals = torch.cat([speechlike(48000, seed=seed) for seed in range(3)])
    energies, _ = filterbank(signals, torch.tensor([48000] * 3))
    frames = signals.unfold(1, filterbank.frame, filterbank.shift)
    torch.testing.assert_close(filterbank.in_blocks(frames, utterances, steps), energies, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", RATES)
def test_mfcc_equals_kaldi(rate: int) -> None:
    signal = speechlike(rate + 123)
    ours, _ = Mfcc(rate, 13, deltas=False)(signal, torch.tensor([signal.shape[1]]))
    theirs = kaldi.mfcc(signal * 32768, sample_frequency=rate, dither=0.0, use_energy=False)
    torch.testing.assert_close(ours[0], theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_silence_and_clipping_equal_kaldi(scale: float) -> None:
    signal = (speechlike(16000) * 20 * scale).clamp(-1, 1)
    ours, _ = Filterbank()(signal, torch.tensor([16000]))
    theirs = kaldi.fbank(signal * 32768, num_mel_bins=80, dither=0.0)
    torch.testing.assert_close(ours[0], theirs, rtol=0, atol=1e-3)
    assert torch.isfinite(ours).all()


def test_filterbank_equals_librosa_but_for_the_conventions() -> None:
    """The same bands from librosa's spectrum and mel scale, given Kaldi's frames, pre-emphasis and window."""
    librosa = pytest.importorskip("librosa", reason="needs librosa")
    signal = speechlike(16000)
    ours, _ = Filterbank(16000, 40)(signal, torch.tensor([16000]))
    frame = round(FRAME_SECONDS * 16000)
    frames = librosa.util.frame(signal[0].numpy() * 32768, frame_length=frame, hop_length=160).T.astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - PREEMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft(frames * np.hanning(frame) ** 0.85, n=512)) ** 2
    bands = librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=20, htk=True, norm=None)
    # librosa's triangles are straight in Hz, Kaldi's in mel: near each other, not equal.
    assert np.abs(ours[0].numpy() - np.log(power @ bands.T)).mean() < 0.05


def test_differences_equal_librosa_inside_an_utterance() -> None:
    librosa = pytest.importorskip("librosa", reason="needs librosa")
    x = torch.randn(1, 30, 4, generator=torch.Generator().manual_seed(1))
    ours = differences(x, torch.tensor([30]))[0, 2:-2]
    theirs = librosa.feature.delta(x[0].numpy(), width=5, axis=0)[2:-2]
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-5)


def test_differences_of_a_slope() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1)
    assert differences(x, torch.tensor([6])).flatten().tolist() == pytest.approx([0.5, 0.8, 1, 1, 0.8, 0.5])
