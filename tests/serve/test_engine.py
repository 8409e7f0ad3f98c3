"""Many recordings through one recognizer: each gets its own text, whatever shares its batch."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest

from asr.errors import AudioError
from asr.serve.engine import Engine, Recording
from asr.transcription.decoder import DecodeOptions
from asr.transcription.reader import EndOfAudio
from asr.transcription.result import Segment
from asr.transcription.timestamps import without_overlap
from tests.audio.recordings import encode, noisy


@pytest.fixture(scope="module")
def engine(recognizer: Any):
    made = Engine(recognizer, DecodeOptions(), threads=2)
    yield made
    made.close()


class Waiting:
    """A recording, and what has come of it."""

    def __init__(self, path: Path, hotwords: tuple[str, ...] = ()) -> None:
        self.segments: list[Segment] = []
        self.end: tuple | None = None
        self.over = threading.Event()
        self.items: queue.Queue[Future[Segment | None] | EndOfAudio] = queue.Queue()
        self.recording = Recording(path, self.items.put, hotwords)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        now = 0.0
        while not isinstance(item := self.items.get(), EndOfAudio):
            if error := item.exception():
                item = EndOfAudio(0, "", error=error)
                break
            if segment := item.result():
                self.segments.append(without_overlap(segment, now))
                now = self.segments[-1].end
        self.end = item.duration, item.notices, item.error
        self.over.set()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("many")
    paths = [folder / f"{number}.wav" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(encode(noisy(1.0 + 7 * (number % 5), number), 16000))
    return paths


def test_each_gets_its_own_text(engine: Engine, recognizer: Any, files: list[Path]) -> None:
    waiting = [Waiting(path) for path in files]
    for each in waiting:
        engine.submit(each.recording)
    for each, path in zip(waiting, files, strict=True):
        assert each.over.wait(60)
        expected = recognizer.transcribe(path, case="model")
        assert tuple(each.segments) == expected.segments
        assert each.end == (expected.duration, expected.notices, None)
        assert each.items.empty(), "the end was told twice"
    assert engine.busy_seconds > 0


def test_a_broken_one_stops_no_other(engine: Engine, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "torn.wav").write_bytes(files[4].read_bytes()[:50_000])
    waiting = [Waiting(tmp_path / "torn.wav"), Waiting(tmp_path / "missing.wav"), Waiting(files[0])]
    for each in waiting:
        engine.submit(each.recording)
    for each in waiting:
        assert each.over.wait(60)
    assert isinstance(waiting[0].end[2], AudioError)
    assert isinstance(waiting[1].end[2], AudioError)
    assert waiting[2].end[2] is None


def test_a_short_one_overtakes_a_long_one(engine: Engine, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "long.flac").write_bytes(encode(noisy(500.0, 9), 16000, "FLAC"))
    long, short = Waiting(tmp_path / "long.flac"), Waiting(files[0])
    engine.submit(long.recording)
    while not long.segments:
        time.sleep(0.01)
    engine.submit(short.recording)
    assert short.over.wait(60)
    assert not long.over.is_set()
    engine.cancel(long.recording)
    while engine._recordings:
        time.sleep(0.01)
    assert not long.over.is_set()


def test_hotwords_have_a_search_of_their_own(recognizer: Any, tiny_model: Path, files: list[Path]) -> None:
    from asr.transcription.recognizer import load_model

    expected = (
        load_model(tiny_model, threads=2, precision="float32", hotwords=["FOX"])
        .transcribe(files[1], case="model")
        .segments
    )
    engine = Engine(recognizer, DecodeOptions(), threads=2)
    plain, pushed = Waiting(files[1]), Waiting(files[1], ("FOX",))
    for each in (plain, pushed):
        engine.submit(each.recording)
    assert plain.over.wait(60)
    assert pushed.over.wait(60)
    assert tuple(pushed.segments) == expected
    assert tuple(plain.segments) == recognizer.transcribe(files[1], case="model").segments
    for number in range(6):
        engine.prepare((f"FO{'XJLAQU'[number]}",))
    assert engine._expecting.cache_info().currsize == 4
    engine.close()


def test_each_recording_has_its_search_made_once(recognizer: Any, tmp_path: Path) -> None:
    made: list[DecodeOptions] = []

    class Counting(type(recognizer)):
        def with_search(self, search: DecodeOptions) -> Any:
            made.append(search)
            return super().with_search(search)

    path = tmp_path / "long.wav"
    path.write_bytes(encode(noisy(150.0, 1), 16000))
    engine = Engine(Counting(recognizer.model, precision="float32"), DecodeOptions(), threads=2)
    waiting = [Waiting(path, (f"FO{letter}",)) for letter in "XJLAQU"]
    for each in waiting:
        engine.submit(each.recording)
    assert all(each.over.wait(120) for each in waiting)
    assert len(made) == len(waiting)
    engine.close()


def test_no_more_searches_are_held_than_there_is_room_for(recognizer: Any, tmp_path: Path) -> None:
    """Each takes as much memory as a lexicon, so thirty clients with hotwords of their own must not have thirty."""
    held = WeakSet()
    most = 0

    class Counting(type(recognizer)):
        def with_search(self, search: DecodeOptions) -> Any:
            nonlocal most
            made = super().with_search(search)
            held.add(made)
            most = max(most, len(held))
            return made

    path = tmp_path / "short.wav"
    path.write_bytes(encode(noisy(30.0, 1), 16000))
    engine = Engine(Counting(recognizer.model, precision="float32"), DecodeOptions(), threads=2)
    waiting = [Waiting(path, (f"FO{first}{second}",)) for first in "XJLAQ" for second in "XJLAQU"]
    for each in waiting:
        engine.submit(each.recording)
    assert all(each.over.wait(120) for each in waiting)
    assert most < 15
    engine.close()


def test_the_file_of_a_client_that_left_is_closed(recognizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "left.wav"
    path.write_bytes(encode(noisy(300.0, 1), 16000))
    engine = Engine(recognizer, DecodeOptions(), threads=2)
    left = Waiting(path)
    engine.submit(left.recording)
    while not left.segments:
        time.sleep(0.01)
    assert _is_open(path)
    engine.cancel(left.recording)
    deadline = time.monotonic() + 30
    while _is_open(path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    engine.close()


def _is_open(path: Path) -> bool:
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(link.readlink())
    return path in links


def test_a_fault_in_the_network_is_told_to_everybody_in_the_batch(recognizer: Any, files: list[Path]) -> None:
    class Broken(type(recognizer)):
        def views(self, batch: object, count: int | None = None) -> Any:
            raise MemoryError("no room")

    broken = Broken(recognizer.model, precision="float32")
    engine = Engine(broken, DecodeOptions(), threads=2)
    waiting = [Waiting(path) for path in files[:3]]
    for each in waiting:
        engine.submit(each.recording)
    for each in waiting:
        assert each.over.wait(60)
        assert "no room" in str(each.end[2])
    engine.close()


def test_closing_ends_it_in_mid_work(recognizer: Any, tmp_path: Path) -> None:
    (tmp_path / "long.flac").write_bytes(encode(noisy(300.0, 9), 16000, "FLAC"))
    engine = Engine(recognizer, DecodeOptions(), threads=2)
    long = Waiting(tmp_path / "long.flac")
    engine.submit(long.recording)
    while not long.segments:
        time.sleep(0.01)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 20
    assert not long.over.is_set()


def test_live_chunks_come_back_by_themselves(engine: Engine, recognizer: Any) -> None:
    from asr.audio.segmentation import Chunk

    samples = noisy(2.0, 5)

    async def ask() -> Segment | None:
        return await asyncio.wrap_future(engine.recognize(Chunk(16000, samples)))

    segment = asyncio.run(ask())
    assert segment is not None
    assert segment.text == recognizer.transcribe(samples, case="model").text
    assert segment.start >= 1.0


def test_the_names_of_special_pieces_are_no_letters() -> None:
    """A model of another script cannot spell `bank`, though its vocabulary has a piece that is called <blank>."""
    vocabulary = ["<blank>", "<unk>", "▁", "Ж", "А"]
    recognizer = SimpleNamespace(model=SimpleNamespace(tokenizer=SimpleNamespace(vocabulary=vocabulary)))
    engine = SimpleNamespace(_options=DecodeOptions(), recognizer=recognizer)
    assert Engine.hotwords_of(engine, "bank жажа", ["an"]) == ("ЖАЖА",)
