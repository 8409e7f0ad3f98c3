"""The bundled model behind the server: the samples, as OpenAI's client gets them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from asr.serve.app import Service
from asr.serve.engine import Engine, warm_up
from asr.serve.settings import ServeOptions
from asr.transcription.recognizer import load_model
from asr.transcription.writers import render
from tests.serve.conftest import Running, running
from tests.serve.test_api import SAMPLES
from tests.serve.test_live import connect, pcm

pytestmark = pytest.mark.slow
openai = pytest.importorskip("openai", reason="needs the package openai")


@pytest.fixture(scope="module")
def bundled() -> Iterator[tuple[Running, Any]]:
    recognizer = load_model()
    warm_up(recognizer)
    with running(Service(Engine(recognizer), "default", ServeOptions(port=0))) as started:
        yield started, recognizer


def test_every_sample_in_every_format(bundled: tuple[Running, Any]) -> None:
    server, recognizer = bundled
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
    for path in SAMPLES:
        same = recognizer.transcribe(path)
        create = client.audio.transcriptions.create
        assert create(file=path, model="default").text == same.text
        assert create(file=path, model="default", response_format="verbose_json").text == same.text
        for form in ("text", "srt", "vtt"):
            expected = render(same, "txt" if form == "text" else form)
            assert create(file=path, model="default", response_format=form) == expected


def test_a_prompt_makes_its_words_likelier(bundled: tuple[Running, Any]) -> None:
    server, _ = bundled
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
    path = next(path for path in SAMPLES if path.stem == "river")

    def ask(**options: str) -> str:
        return client.audio.transcriptions.create(file=path, model="default", **options).text.lower()

    assert ask(prompt="A walk along the Rivver").count("rivver") >= ask().count("rivver")


def test_the_delay_of_live_speech(bundled: tuple[Running, Any]) -> None:
    """Real time: provisional texts at least every second, and each segment soon after its pause."""
    import soundfile

    server, _ = bundled
    gaps, delays, said = [], [], []
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        assert json.loads(socket.recv(30))["type"] == "ready"
        began, sent = time.monotonic(), 0

        def play(samples: np.ndarray) -> None:
            nonlocal sent
            for start in range(0, len(samples), 1600):
                socket.send(pcm(samples[start : start + 1600]))
                sent += len(samples[start : start + 1600])
                while time.monotonic() - began < sent / 16000:
                    drain(began + sent / 16000)

        last = None

        def drain(until: float) -> None:
            nonlocal last
            try:
                message = json.loads(socket.recv(max(0.0, until - time.monotonic())))
            except TimeoutError:
                return
            now = time.monotonic() - began
            if message["type"] == "provisional":
                if last is not None:
                    gaps.append(now - last)
                last = now
            elif message["type"] == "segment":
                delays.append(now - message["end"])
                said.append(message["text"])
                last = None

        for name in ("river", "bread", "lamp"):
            samples, _ = soundfile.read(next(path for path in SAMPLES if path.stem == name), dtype="float32")
            play(samples)
            play(np.random.default_rng(0).normal(0, 1e-4, 24000).astype(np.float32))
    print(
        f"\nprovisional every {np.mean(gaps):.2f} s (at most {max(gaps):.2f}); segments {np.mean(delays):.2f} s after"
    )
    assert len(said) == 3
    assert np.median(gaps) < 2.0
