"""A recording to look at: waveform and mel spectrogram, and the words between their bounds where they are known."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from asr.audio.source import AudioInput, Samples, audio_name
from asr.audio.stream import Channel, read_audio
from asr.errors import AudioError, UsageError
from asr.transcription.result import Word

RATE = 16000
LONGEST = 120.0
"""Seconds that can be drawn so that anything can be seen."""
_INCHES_A_SECOND = 1.2
_FRAMES, _HOP = 512, 128


def draw_recording(audio: AudioInput, words: Sequence[Word] = (), channel: Channel = "mix") -> bytes:
    """A PNG of the recording, mixed to one channel or of one alone.

    Raises `AudioError` for the recording, and `UsageError` where matplotlib is not installed or the recording is longer
    than two minutes.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("a picture needs matplotlib", "In the project's folder: .venv/bin/pip install -e '.[train]'")
    samples = read_audio(audio, RATE, channel)
    seconds = len(samples) / RATE
    if not seconds:
        raise AudioError(f"{audio_name(audio)} holds no sound")
    if seconds > LONGEST:
        raise UsageError(f"{seconds:.0f} s are too long for a picture", f"Cut it to {LONGEST:.0f} s.")
    return _draw(samples, seconds, words)


def _draw(samples: Samples, seconds: float, words: Sequence[Word]) -> bytes:
    import librosa
    import librosa.display
    from matplotlib.figure import Figure

    figure = Figure(figsize=(min(60.0, max(7.0, _INCHES_A_SECOND * seconds)), 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    samples = np.pad(samples, (0, max(0, _FRAMES - len(samples))))
    librosa.display.waveshow(samples, sr=RATE, ax=upper, color="#1f4e9c")
    mel = librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=_FRAMES, hop_length=_HOP, n_mels=80)
    decibels = librosa.power_to_db(mel, ref=np.max)
    librosa.display.specshow(
        decibels, sr=RATE, hop_length=_HOP, n_fft=_FRAMES, x_axis="time", y_axis="mel", ax=lower, cmap="magma"
    )
    for word in words:
        for axes, color in ((upper, "#888888"), (lower, "white")):
            axes.axvline(word.start, color=color, lw=0.6)
            axes.axvline(word.end, color=color, lw=0.6, ls=":")
        middle = (word.start + word.end) / 2
        upper.annotate(
            word.text,
            (middle, 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=8,
            rotation=30,
        )
    upper.set(xlabel="", ylabel="waveform", xlim=(0, seconds))
    lower.set(xlabel="seconds", ylabel="Hz")
    upper.spines[["top", "right"]].set_visible(False)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110)
    return target.getvalue()
