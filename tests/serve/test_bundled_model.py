"""The bundled model behind the server: the samples, as OpenAI's client gets them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from asr.audio.stream import read_audio
from asr.serve.app import Service
from asr.serve.engine import Engine, warm_up
from asr.serve.security import ServeOptions
from asr.transcription.recognizer import load_model
from asr.transcription.writers import render
from tests.serve.conftest import Running, running
from tests.serve.test_api import SAMPLES
from tests.serve.test_live import connect, pcm

pytestmark = pytest.mark.slow
openai = pytest.importorskip("openai", reason="needs the package openai")


@pytest.fixture(scope="module")
def bundled() -> Iterator[tuple[Running, Any]]:
    recognizer = load_model(precision="float32")
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
    """In real time: provisional texts every second, and each segment soon after its pause."""
    server, _ = bundled
    heard = _speak_in_real_time(server, ["river", "bread", "lamp"])
    times = [at for at, message in heard if message["type"] == "provisional"]
    gaps = [after - before for before, after in pairwise(times) if after - before < 5.0]  # longer ones are pauses
    delays = [at - message["end"] for at, message in heard if message["type"] == "segment"]
    print(f"\nload average {os.getloadavg()[0]:.1f}")
    print(f"provisional text every {np.mean(gaps):.2f} s, at most {max(gaps):.2f} s")
    print(f"segments {np.mean(delays):.2f} s after their last word, at most {max(delays):.2f} s")
    assert len(delays) == 3
    if os.getloadavg()[0] < (os.cpu_count() or 1):  # by the clock only where nothing else takes the processor
        assert np.median(gaps) < 1.2
        assert np.median(delays) < 2.0


def _speak_in_real_time(server: Running, names: list[str]) -> list[tuple[float, dict[str, Any]]]:
    """Samples with pauses between them; every message with the seconds of sound that had been sent by then."""
    quiet = np.random.default_rng(0).normal(0, 1e-4, 24_000).astype(np.float32)
    parts = [read_audio(path) for name in names for path in SAMPLES if path.stem == name]
    samples = np.concatenate([part for sample in parts for part in (sample, quiet)])
    heard: list[tuple[float, dict[str, Any]]] = []
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        assert json.loads(socket.recv(60))["type"] == "ready"
        began = time.monotonic()
        for start in range(0, len(samples), 1600):
            socket.send(pcm(samples[start : start + 1600]))
            while (left := began + (start + 1600) / 16000 - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    message = json.loads(socket.recv(left))
                    heard.append((time.monotonic() - began, message))
        socket.send('{"type": "stop"}')
        heard += [(time.monotonic() - began, json.loads(message)) for message in socket]
    return heard
