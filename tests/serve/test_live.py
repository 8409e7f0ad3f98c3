"""Speaking into the WebSocket: provisional texts while it goes on, segments when it pauses."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from asr.errors import UsageError
from tests.audio.recordings import noisy
from tests.serve.conftest import Running

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")


def spoken(*bursts: float, pause: float = 1.0) -> np.ndarray:
    """Bursts of noise of these seconds that swells like syllables, each with a pause behind it, over a quiet ground."""
    random = np.random.default_rng(1)
    parts = []
    for burst in bursts:
        time = np.arange(round(burst * 16000)) / 16000
        parts += [0.1 * (0.08 + 0.92 * np.sin(2 * np.pi * 2 * time) ** 2), np.zeros(round(pause * 16000))]
    envelope = np.concatenate([np.zeros(4000), *parts])
    return ((envelope + 0.0005) * random.standard_normal(len(envelope))).astype(np.float32)


def pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def connect(server: Running, **options: Any) -> Any:
    return client.connect(server.address.replace("http", "ws") + "/live", open_timeout=30, **options)


def talk(server: Running, samples: np.ndarray, rate: int = 16000, pace: float = 0.0, **start: Any) -> list[dict]:
    """Everything that the server says to somebody who says `samples`."""
    with connect(server) as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": rate} | start))
        data = pcm(samples)
        for position in range(0, len(data), 6401):  # an odd number: a sample may come in two messages
            socket.send(data[position : position + 6401])
            time.sleep(pace)
        socket.send(json.dumps({"type": "stop"}))
        return [json.loads(message) for message in socket]


def test_a_pause_ends_a_segment(server: Running) -> None:
    messages = talk(server, spoken(1.5, 1.5, 1.5))
    assert messages[0] == {"type": "ready", "sample_rate": 16000}
    segments = [message for message in messages if message["type"] == "segment"]
    assert [segment["id"] for segment in segments] == [0, 1, 2]
    starts = [segment["start"] for segment in segments]
    assert starts == pytest.approx([0.25, 2.75, 5.25], abs=0.5)
    for segment in segments:
        assert segment["text"] == " ".join(word["word"] for word in segment["words"])
    assert messages[-1] == {"type": "done", "duration": 7.75}


def test_what_is_being_said_is_told_before_it_ends(server: Running) -> None:
    messages = talk(server, spoken(4.0), pace=0.1)
    kinds = [message["type"] for message in messages]
    assert "provisional" in kinds
    assert kinds.index("provisional") < kinds.index("segment")
    assert all(message["id"] == 0 for message in messages if message["type"] == "provisional")


def test_other_sample_rates_are_resampled(server: Running) -> None:
    messages = talk(server, np.repeat(spoken(1.5), 3), rate=48000)
    assert [message["type"] for message in messages].count("segment") == 1
    assert messages[-1]["duration"] == pytest.approx(2.75, abs=0.05)


def test_resampling_holds_nothing_back_at_the_end(server: Running) -> None:
    assert talk(server, np.repeat(spoken(1.0), 3), rate=48000)[-1] == {"type": "done", "duration": 2.25}


def test_who_expects_what_nobody_can_pronounce_is_told(
    serve_with: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve_with()

    def fail(hotwords: object) -> None:
        raise UsageError("nobody can tell how the hotword 'QQ' is spoken")

    monkeypatch.setattr(server.service.engine, "prepare", fail)
    with connect(server) as socket:
        socket.send('{"type": "start", "keywords": ["QQ"]}')
        told = json.loads(socket.recv(30))
        assert (told["code"], told["message"]) == ("invalid_keywords", "nobody can tell how the hotword 'QQ' is spoken")
        with pytest.raises(exceptions.ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd.code == 1008


def test_a_fault_in_the_network_is_told(serve_with: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve_with()

    def fail(batch: object) -> None:
        raise RuntimeError("no room")  # as torch has it

    monkeypatch.setattr(server.service.engine.recognizer, "views", fail)
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        socket.send(pcm(spoken(1.0)))
        socket.send('{"type": "stop"}')
        messages = [json.loads(socket.recv(30)) for _ in range(2)]
        assert messages[1] == {"type": "error", "code": "internal_error", "message": "RuntimeError: no room"}
        with pytest.raises(exceptions.ConnectionClosed) as closed:
            socket.recv(30)
        assert closed.value.rcvd.code == 1011


def test_silence_says_nothing(server: Running) -> None:
    assert [message["type"] for message in talk(server, np.zeros(32000))] == ["ready", "done"]
    assert [message["type"] for message in talk(server, np.zeros(0))] == ["ready", "done"]


def test_it_agrees_with_the_recording_of_the_same(server: Running, recognizer: Any) -> None:
    samples = spoken(3.0)
    (segment,) = [message for message in talk(server, samples) if message["type"] == "segment"]
    whole = recognizer.transcribe(samples).text
    assert segment["text"].split()[1:-1] == whole.split()[1:-1] or segment["text"][5:20] in whole


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("{", "no_start"),
        ("[]", "no_start"),
        (b"\0\0", "no_start"),
        ('{"type": "stop"}', "no_start"),
        ('{"type": "start", "sample_rate": 1}', "invalid_sample_rate"),
        ('{"type": "start", "sample_rate": "16000"}', "invalid_sample_rate"),
        ('{"type": "start", "keywords": "x"}', "invalid_keywords"),
    ],
)
def test_a_wrong_beginning_is_told(server: Running, first: str | bytes, code: str) -> None:
    with connect(server) as socket:
        socket.send(first)
        assert json.loads(socket.recv(30))["code"] == code
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(30)


def test_text_in_the_middle_is_told(server: Running) -> None:
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        socket.recv(30)
        socket.send("hello")
        assert json.loads(socket.recv(30))["code"] == "unknown_message"


def test_token_and_origin(serve_with: Callable[..., Running]) -> None:
    server = serve_with(token="secret")
    for token in ("wrong", None, 3):
        with connect(server) as socket:
            socket.send(json.dumps({"type": "start", "token": token}))
            assert json.loads(socket.recv(30))["code"] == "invalid_api_key"
    assert talk(server, spoken(1.0), token="secret")[-1]["type"] == "done"
    with pytest.raises(exceptions.InvalidStatus), connect(server, origin="http://evil.example"):
        pass


def test_no_more_than_so_many_speak(serve_with: Callable[..., Running]) -> None:
    server = serve_with(live=1)
    with connect(server) as first:
        first.send('{"type": "start"}')
        first.recv(30)
        with connect(server) as second:
            second.send('{"type": "start"}')
            assert json.loads(second.recv(30))["code"] == "busy"
    while server.service.engine.live_sessions:
        time.sleep(0.01)
    assert talk(server, spoken(1.0))[-1]["type"] == "done"


def test_a_stranger_takes_no_place(serve_with: Callable[..., Running]) -> None:
    server = serve_with(live=1, token="secret")
    with connect(server):  # without a token, and without a word
        assert talk(server, spoken(1.0), token="secret")[-1]["type"] == "done"


def test_who_falls_silent_is_sent_away(serve_with: Callable[..., Running]) -> None:
    server = serve_with(live_timeout=0.3)
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        socket.recv(30)
        assert json.loads(socket.recv(30))["code"] == "timeout"


@pytest.mark.parametrize(("last", "code"), [([], "timeout"), (["hello"], "unknown_message")])
def test_who_is_sent_away_is_told_what_was_said(serve_with: Callable[..., Running], last: list[str], code: str) -> None:
    server = serve_with(live_timeout=0.5)
    with connect(server) as socket:
        for message in ['{"type": "start"}', pcm(spoken(2.0)[:24000]), *last]:
            socket.send(message)
        with suppress(exceptions.ConnectionClosed):
            messages: list[dict] = []
            while True:
                messages.append(json.loads(socket.recv(30)))
    kinds = [message["type"] for message in messages if message["type"] != "provisional"]
    assert kinds == ["ready", "segment", "error"]
    assert messages[-1]["code"] == code


def test_who_leaves_in_mid_speech_leaves_nothing(server: Running) -> None:
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        socket.send(pcm(spoken(2.0)))
        socket.socket.close()
    while server.service.engine.live_sessions:
        time.sleep(0.01)
    assert talk(server, spoken(1.0))[-1]["type"] == "done"


def test_a_server_that_stops_lets_people_finish(serve_with: Callable[..., Running]) -> None:
    server = serve_with()
    with connect(server) as socket:
        socket.send('{"type": "start"}')
        socket.recv(30)
        socket.send(pcm(spoken(2.0)[:24000]))
        time.sleep(0.3)
        server.server.should_exit = True
        messages: list[dict] = []
        with suppress(exceptions.ConnectionClosed):
            while True:
                messages.append(json.loads(socket.recv(60)))
    assert [message["type"] for message in messages if message["type"] != "provisional"] == ["segment", "error", "done"]


def test_long_speech_without_a_pause_is_cut(server: Running) -> None:
    segments = [each for each in talk(server, spoken(40.0)) if each["type"] == "segment"]
    assert len(segments) >= 3
    assert all(before["end"] <= after["start"] + 0.01 for before, after in pairwise(segments))


def test_noisy_recordings_come_out_in_order(server: Running) -> None:
    segments = [each for each in talk(server, noisy(20.0, 2)) if each["type"] == "segment"]
    assert segments == sorted(segments, key=lambda each: each["start"])


def test_nothing_waits_for_a_teller_whose_client_has_left() -> None:
    """A client that sends faster than it is understood, and vanishes: the queue is full and nobody empties it."""

    from starlette.websockets import WebSocketDisconnect

    from asr.serve.live import _Session

    async def hand_on() -> None:
        session = object.__new__(_Session)
        session._closed = asyncio.Queue(1)
        session._closed.put_nowait(None)
        session._telling = asyncio.get_running_loop().create_future()
        session._telling.set_exception(WebSocketDisconnect(1006))
        with pytest.raises(WebSocketDisconnect):
            await asyncio.wait_for(session._hand_on(None), 5)

    asyncio.run(hand_on())
