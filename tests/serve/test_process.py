"""`asr serve` as a process of its own: signals, and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.audio.recordings import encode, noisy

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(model: Path, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server's process and its address; its temporary files go to `folder`."""
    command = [sys.executable, "-m", "asr.cli.main", "serve", "-m", str(model), "--port", "0", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        try:
            assert running.stderr is not None
            line = next((line for line in running.stderr if "serving at" in line), "")
            yield running, line.split("serving at ")[1].split()[0]
        finally:
            running.kill()


def ask(address: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{address}/v1/audio/transcriptions", files={"file": ("a.flac", data)}, timeout=120)


def test_sigterm_finishes_what_was_begun(tiny_model: Path, tmp_path: Path) -> None:
    data = encode(noisy(900.0, 1), 16000, "FLAC")
    with process(tiny_model, tmp_path) as (running, address):
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(ask(address, data)))
        asking.start()
        while not list(tmp_path.glob("asr-serve-*/upload-*")):
            time.sleep(0.01)
        time.sleep(0.3)
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert running.wait(40) == 0
        assert time.monotonic() - began < 31
        asking.join()
        assert answers[0].status_code == 200
        assert answers[0].json()["text"]
    assert list(tmp_path.glob("asr-serve-*")) == []


def test_sigkill_leaves_nothing_after_the_next_start(tiny_model: Path, tmp_path: Path) -> None:
    data = encode(noisy(1800.0, 1), 16000, "FLAC")
    with process(tiny_model, tmp_path) as (running, address):

        def ask_in_vain() -> None:
            with suppress(httpx.HTTPError):
                ask(address, data)

        asking = threading.Thread(target=ask_in_vain)
        asking.start()
        while not list(tmp_path.glob("asr-serve-*/upload-*")):
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait(10)
        asking.join()
    assert list(tmp_path.glob("asr-serve-*"))
    with process(tiny_model, tmp_path) as (running, address):
        assert ask(address, encode(noisy(1.0, 1), 16000)).status_code == 200
        assert len(list(tmp_path.glob("asr-serve-*"))) == 1
        running.send_signal(signal.SIGINT)
        assert running.wait(40) == 0
    assert list(tmp_path.glob("asr-serve-*")) == []


def test_an_address_in_use_is_named(tiny_model: Path, tmp_path: Path) -> None:
    with process(tiny_model, tmp_path) as (_, address):
        command = [sys.executable, "-m", "asr.cli.main", "serve", "-m", str(tiny_model), "--port", address[-5:]]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 2
        assert "Choose another --port" in done.stderr
