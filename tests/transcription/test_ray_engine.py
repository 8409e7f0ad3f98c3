"""A local Ray instance with two workers: the same transcripts as without, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

import asr
from asr.errors import ModelError
from asr.transcription.reader import Request
from asr.transcription.result import Failure, Transcript
from tests.audio.recordings import encode, noisy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ray = pytest.importorskip("ray", reason="needs asr[ray]")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def requests(tmp_path_factory) -> list[Request]:
    folder = tmp_path_factory.mktemp("recordings")
    paths = [folder / f"{number:03d}.wav" for number in range(120)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(noisy(3.0 + number % 5, number), 16000))
    paths[7].write_bytes(b"")
    return [Request(str(path), str(path)) for path in paths]


def test_what_no_worker_could_load_is_told_at_once(tiny_model, tmp_path):
    from asr.transcription.ray_engine import transcribe_with_ray

    with pytest.raises(ModelError, match=r"gone\.ngram does not exist"):
        next(transcribe_with_ray([], tiny_model, search=asr.DecodeOptions(lm=tmp_path / "gone.ngram")))


def test_the_same_as_without_and_a_killed_worker_loses_nothing(tiny_model, cluster, requests):
    from asr.transcription.ray_engine import transcribe_with_ray

    outcomes = transcribe_with_ray(requests, tiny_model)
    first = next(outcomes)
    killer = threading.Thread(target=kill_one_worker)
    killer.start()
    spread = [first, *outcomes]
    killer.join()
    local = list(asr.load_model(tiny_model, threads=1, precision="float32").transcribe_many(requests))
    assert [outcome.name for outcome in spread] == [request.name for request in requests]
    for here, there in zip(local, spread, strict=True):
        if isinstance(here, Failure):
            assert isinstance(there, Failure)
            assert str(there.error) == str(here.error)
            continue
        assert isinstance(there, Transcript)
        assert there.text == here.text
        for one, other in zip(here.words, there.words, strict=True):
            assert other.start == pytest.approx(one.start, abs=0.08)
            assert other.confidence == pytest.approx(one.confidence, abs=0.01)


def kill_one_worker() -> None:
    """SIGKILL to the first process that holds a worker."""
    for _ in range(2000):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if b"ray::Worker" in (folder / "cmdline").read_bytes():
                    os.kill(int(folder.name), signal.SIGKILL)
                    return
            except OSError:
                continue
        time.sleep(0.01)
    raise AssertionError("there was no worker to kill")


def test_a_model_that_is_none(cluster, requests, tmp_path):
    from asr.transcription.ray_engine import transcribe_with_ray

    with pytest.raises(ModelError, match="not a model folder"):
        next(transcribe_with_ray(requests, tmp_path))
