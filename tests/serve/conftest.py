"""A server of the tiny model, in a thread, on a free port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the packages of the extra `serve`")

from asr.serve.app import Service
from asr.serve.engine import Engine
from asr.serve.security import ServeOptions
from asr.serve.server import Server, bind, make_server
from asr.transcription.decoder import DecodeOptions
from asr.transcription.recognizer import load_model
from tests.audio.recordings import encode, noisy


class Running:
    """A server at work: `address`, and the `service` behind it."""

    def __init__(self, service: Service, server: Server) -> None:
        self.service = service
        self.server = server
        self.address = server.address

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def uploads(self) -> list[Path]:
        """What lies in its temporary folder."""
        return list(self.service._folder.path.glob("upload-*"))


@contextmanager
def running(service: Service) -> Iterator[Running]:
    """Serve until the block ends."""
    server = make_server(service, bind(service.options.host, service.options.port))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Running(service, server)
    finally:
        server.should_exit = True
        thread.join(40)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def recognizer(tiny_model: Path) -> Any:
    return load_model(tiny_model, threads=2, precision="float32")  # where neighbors in a batch change nothing


@pytest.fixture
def serve_with(recognizer: Any) -> Iterator[Callable[..., Running]]:
    """Starts servers with other options, which stop with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(**options: Any) -> Running:
            engine = Engine(recognizer, DecodeOptions(), threads=2)
            return stack.enter_context(running(Service(engine, "tiny", ServeOptions(port=0, **options))))

        yield start


@pytest.fixture(scope="session")
def server(recognizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server with the ordinary options, for all tests that change nothing in it."""
    engine = Engine(recognizer, DecodeOptions(), threads=2)
    with running(Service(engine, "tiny", ServeOptions(port=0, max_upload=20_000_000))) as started:
        yield started


@pytest.fixture(scope="session")
def speech() -> bytes:
    """A WAV of 3 s in which the tiny model finds letters."""
    return encode(noisy(3.0, 1), 16000)


@pytest.fixture(scope="session")
def long_speech() -> bytes:
    """A WAV of 50 s with pauses, which comes in several segments."""
    return encode(noisy(50.0, 3), 16000)
