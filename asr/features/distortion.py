"""What happens to speech on its way: rooms, other voices, noise, telephones, codecs. Every draw from a generator.

All functions take and give mono float32 samples (N,) and leave the length as it is, `stretch` apart.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

WHITE, PINK, BROWN = 0.0, 0.5, 1.0
"""Exponents by which a noise's amplitude falls with frequency: 0, −3 and −6 dB an octave of power."""
CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
"""Name of a lossy codec → format and subtype for soundfile."""
TABLE = 4096
"""Values in a table of one period."""
TELEPHONE_RATE = 8000
TELEPHONE_BAND_HZ = (300.0, 3400.0)
STRETCH_WINDOWS = (512, 1024, 2048)
"""Samples in a phase vocoder's window: the longer, the more a voice is smeared over time."""


def mix(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """`samples` with `noise` (N,) at that signal-to-noise ratio over the whole stretch; silence stays as it is."""
    from torchaudio.functional import add_noise

    if not len(samples) or not noise.any():
        return samples
    mixed = add_noise(_tensor(samples)[None], _tensor(noise)[None], torch.tensor([snr_db]))[0]
    return np.asarray(mixed.numpy())


def colored_noise(length: int, slope: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose amplitude falls as frequency^−slope, from `WHITE` over `PINK` to `BROWN`; mean power 1."""
    # Drawn as a spectrum, of a length that the transform is quick for: a long prime factor costs twenty times as much.
    size = _quick_length(max(2, length + length % 2))
    spectrum = generator.standard_normal((size // 2 + 1, 2), dtype=np.float32).view(np.complex64).squeeze(1)
    spectrum *= np.maximum(1, np.arange(len(spectrum), dtype=np.float32)) ** np.float32(-slope)
    spectrum[0] = 0
    return _unit_power(np.fft.irfft(spectrum, n=size)[:length].astype(np.float32, copy=False))


def babble(others: Sequence[np.ndarray], length: int, voices: int, generator: np.random.Generator) -> np.ndarray:
    """`voices` of the `others` speaking at once, each as loud as the next and going round from a random place."""
    total = np.zeros(length, np.float32)
    for _ in range(voices):
        voice = others[int(generator.integers(len(others)))]
        if len(voice):
            start = int(generator.integers(len(voice)))
            total += _unit_power(np.resize(np.roll(voice, -start), length))
    return total


def hum(length: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Mains hum: 50 or 60 Hz and harmonics, of which some are stronger than the fundamental."""
    fundamental = generator.choice([50.0, 60.0])
    harmonics = generator.uniform(0, 1, 12) / np.arange(1, 13)
    return _unit_power(_wave(_phase(length, sample_rate, fundamental, generator), harmonics))


def chords(length: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Something like music: chords of two to four tempered notes, struck every 0.2 to 1 s and dying away."""
    total = np.zeros(length, np.float32)
    harmonics = generator.uniform(0.2, 1) ** np.arange(1, 9)
    start = 0
    while start < length:
        end = min(length, start + round(generator.uniform(0.2, 1.0) * sample_rate))
        root = generator.integers(40, 70)  # MIDI numbers: 82 to 466 Hz
        notes = root + generator.choice(np.arange(0, 25), int(generator.integers(2, 5)), replace=False)
        fading = np.float32(generator.uniform(0.2, 1.5) * sample_rate)
        decay = np.exp(-np.arange(end - start, dtype=np.float32) / fading)
        for note in notes:
            tone = _phase(end - start, sample_rate, 440 * 2 ** ((note - 69) / 12), generator)
            total[start:end] += _wave(tone, harmonics) * decay
        start = end
    return _unit_power(total)


def room(rt60_s: float, direct_db: float, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """A room's impulse response: a direct path of 1 at the first sample, then noise falling by 60 dB in `rt60_s`.

    The tail begins 2 ms after the direct path, which stands `direct_db` above the energy of the tail.
    """
    response = np.zeros(max(2, round(rt60_s * sample_rate)), np.float32)
    start = min(len(response) - 1, round(0.002 * sample_rate))
    times = np.arange(start, len(response), dtype=np.float32) / sample_rate
    tail = generator.standard_normal(len(times), dtype=np.float32) * np.float32(10) ** (-3 * times / np.float32(rt60_s))
    tail *= np.sqrt(10 ** (-direct_db / 10) / max(float(np.sum(tail**2)), 1e-12))
    response[start:] = tail
    response[0] = 1
    return response


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """`samples` heard in a room, as loud as before; what rings on after their end is cut off."""
    from torchaudio.functional import fftconvolve

    if not len(samples):
        return samples
    # torchaudio transforms exactly as many samples as come out; zeros make that a number the transform is quick for.
    padded = np.zeros(_quick_length(len(samples) + len(response) - 1) - len(samples) + 1, np.float32)
    padded[: len(response)] = response
    reverberant = fftconvolve(_tensor(samples), _tensor(padded)).numpy()[: len(samples)]
    return np.asarray(reverberant * (_rms(samples) / max(_rms(reverberant), 1e-9)), np.float32)


def telephone(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """As a telephone passes it on: 300 to 3400 Hz, 8 kHz, eight bits by the μ-law (ITU-T G.711)."""
    import soxr
    from torchaudio.functional import mu_law_decoding, mu_law_encoding

    if not len(samples):
        return samples
    narrow = _band(soxr.resample(samples, sample_rate, TELEPHONE_RATE, quality="MQ"), TELEPHONE_RATE, TELEPHONE_BAND_HZ)
    loudest = max(float(np.abs(narrow).max()), 1e-9)
    coded = mu_law_decoding(mu_law_encoding(_tensor(narrow / loudest), 256), 256).numpy() * np.float32(loudest)
    return _of_length(soxr.resample(coded, TELEPHONE_RATE, sample_rate, quality="MQ"), len(samples))


def codec(samples: np.ndarray, sample_rate: int, name: str, compression: float) -> np.ndarray:
    """Encoded and decoded by one of `CODECS`; `compression` goes from 0, the highest bit rate, to 1, the lowest."""
    import soundfile

    if not len(samples):
        return samples
    container, subtype = CODECS[name]
    coded = io.BytesIO()
    # At a constant rate the file would not say how long the encoder's delay is, and the sound come 69 ms late.
    rates = {"bitrate_mode": "AVERAGE"} if name == "mp3" else {}
    level = min(compression, 0.99)  # libsndfile refuses 1 for MP3
    soundfile.write(coded, np.clip(samples, -1, 1), sample_rate, subtype, None, container, True, level, **rates)
    coded.seek(0)
    decoded, _ = soundfile.read(coded, dtype="float32")
    return _of_length(decoded, len(samples))


def stretch(samples: np.ndarray, rate: float, window: int = 512) -> np.ndarray:
    """Spoken `rate` times as fast at the same pitch, by a phase vocoder (Flanagan and Golden 1966), smear and all.

    (N,) → about (N / rate,); `window` samples at a time, of which each overlaps by three quarters with the next.
    """
    from torchaudio.functional import phase_vocoder

    if rate == 1.0 or len(samples) < window:
        return samples
    hop, hann = window // 4, torch.hann_window(window)
    spectrum = torch.stft(_tensor(samples), window, hop, window=hann, return_complex=True)
    advance = torch.linspace(0, math.pi * hop, len(spectrum)).unsqueeze(1)
    slower = phase_vocoder(spectrum, rate, advance)
    length = round(len(samples) / rate)
    return np.asarray(torch.istft(slower, window, hop, window=hann, length=length))


def _band(samples: np.ndarray, sample_rate: int, band_hz: tuple[float, float]) -> np.ndarray:
    """What lies between two frequencies; the edges fall off over a tenth of an octave, in one transform.

    As a line's filters do; torchaudio's biquads would pass an octave beyond at a quarter of the amplitude.
    """
    size = _quick_length(len(samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 1e-3))
    low, high = np.log2(band_hz)
    gain = np.clip((octaves - low) * 10 + 1, 0, 1) * np.clip((high - octaves) * 10 + 1, 0, 1)
    return np.fft.irfft(np.fft.rfft(samples, size) * gain.astype(np.float32), size)[: len(samples)].astype(np.float32)


def _phase(length: int, sample_rate: int, hertz: float, generator: np.random.Generator) -> np.ndarray:
    """Places in a table of `TABLE` values of one period, from a random start."""
    turns = np.arange(length, dtype=np.float64) * (hertz / sample_rate) + generator.random()
    return (turns * TABLE).astype(np.int64) & (TABLE - 1)


def _wave(places: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    """The sum of sines, `harmonics` (H,) their amplitudes: a period once, then looked up."""
    period = np.asarray(harmonics, np.float32) @ _sines(len(harmonics))
    return np.asarray(period[places], np.float32)


@functools.cache
def _sines(count: int) -> np.ndarray:
    turns = np.arange(TABLE) / TABLE * np.arange(1, count + 1)[:, None]
    return np.sin(2 * np.pi * turns).astype(np.float32)


_ODD: list[int] = [3**threes * 5**fives for threes in range(20) for fives in range(14)]  # beyond all lengths of sound


@functools.cache
def _quick_length(least: int) -> int:
    """The next number that has no prime factors but 2, 3 and 5."""
    return min(odd << max(0, -(-least // odd) - 1).bit_length() for odd in _ODD)


def _tensor(samples: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples, np.float32))


def _of_length(samples: np.ndarray, length: int) -> np.ndarray:
    if len(samples) < length:
        samples = np.pad(samples, (0, length - len(samples)))
    return np.asarray(samples[:length], np.float32)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float32) ** 2))) if len(samples) else 0.0


def _unit_power(samples: np.ndarray) -> np.ndarray:
    return np.asarray(samples / np.float32(max(_rms(samples), 1e-9)), np.float32)
