"""OpenAI's own client against the server: every response format, and its errors."""

from __future__ import annotations

import json
import string
import time
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt

from asr.errors import UsageError
from asr.serve.api import hotwords_of
from asr.transcription.writers import render
from tests.serve.conftest import Running

openai = pytest.importorskip("openai", reason="needs the package openai")
SAMPLES = sorted(
    path
    for path in (Path(__file__).resolve().parents[2] / "data" / "samples").iterdir()
    if path.suffix in (".wav", ".flac", ".ogg")
)


@pytest.fixture(scope="module")
def client(server: Running) -> Any:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def expected(recognizer: Any) -> dict[str, Any]:
    """What the same model says from Python."""
    return {path.name: recognizer.transcribe(path) for path in SAMPLES}


def test_it_transcribes_every_sample_in_every_format(client: Any, expected: dict[str, Any]) -> None:
    for path in SAMPLES:
        same = expected[path.name]

        def ask(path: Path = path, **options: Any) -> Any:
            return client.audio.transcriptions.create(file=path, model="whisper-1", **options)

        assert ask().text == same.text
        assert ask(response_format="json").usage.seconds == pytest.approx(same.duration, abs=1)
        assert ask(response_format="text") == render(same, "txt")
        assert ask(response_format="srt") == render(same, "srt")
        assert ask(response_format="vtt") == render(same, "vtt")
        verbose = ask(response_format="verbose_json", timestamp_granularities=["word", "segment"])
        assert verbose.text == same.text
        assert verbose.language == "english"
        assert verbose.duration == pytest.approx(same.duration)
        assert [(word.word, word.start, word.end) for word in verbose.words] == [
            (word.text, word.start, word.end) for word in same.words
        ]
        assert [(each.id, each.start, each.end, each.text) for each in verbose.segments] == [
            (number, each.start, each.end, each.text) for number, each in enumerate(same.segments)
        ]


def test_subtitles_are_read_by_their_own_parsers(client: Any, tmp_path: Path) -> None:
    asked = {"file": SAMPLES[0], "model": "default", "language": "en", "temperature": 0}
    assert list(srt.parse(client.audio.transcriptions.create(response_format="srt", **asked)))
    (tmp_path / "x.vtt").write_text(client.audio.transcriptions.create(response_format="vtt", **asked))
    assert len(webvtt.read(tmp_path / "x.vtt")) > 0


def test_granularities_choose_what_is_told(client: Any) -> None:
    def ask(**options: Any) -> Any:
        return client.audio.transcriptions.create(
            file=SAMPLES[0], model="tiny", response_format="verbose_json", **options
        )

    assert ask().words is None
    assert ask().segments
    assert ask(timestamp_granularities=["word"]).segments is None
    assert ask(timestamp_granularities=["word"]).words


def test_a_stream_begins_before_the_recording_is_done(client: Any, recognizer: Any, tmp_path: Path) -> None:
    """Minutes are never one batch, so the first event must come while there is work left."""
    from tests.audio.recordings import encode, noisy

    (tmp_path / "long.wav").write_bytes(encode(noisy(100.0, 5), 16000))
    began = time.monotonic()
    events = client.audio.transcriptions.create(file=tmp_path / "long.wav", model="tiny", stream=True)
    texts, first, last = [], 0.0, None
    for event in events:
        first = first or time.monotonic() - began
        if event.type == "transcript.text.delta":
            texts.append(event.delta)
        last = event
    assert first < 0.8 * (time.monotonic() - began)
    assert last.type == "transcript.text.done"
    assert "".join(texts) == last.text == " ".join(each.text for each in recognizer.stream(tmp_path / "long.wav"))


def test_a_stream_of_verbose_json_brings_the_words(server: Running, long_speech: bytes) -> None:
    import httpx

    form = {"model": "tiny", "response_format": "verbose_json", "stream": "true"}
    answer = httpx.post(
        f"{server.address}/v1/audio/transcriptions", files={"file": ("a.wav", long_speech)}, data=form, timeout=60
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    assert [delta["segment"]["id"] for delta in deltas] == list(range(len(deltas)))
    assert all(delta["segment"]["words"] for delta in deltas)
    assert done["duration"] == 50.0


@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"model": "gpt-4o"}, "model_not_found", "model"),
        ({"language": "de"}, "unsupported_language", "language"),
        ({"response_format": "diarized_json"}, "invalid_value", "response_format"),
        ({"timestamp_granularities": ["word"]}, "invalid_value", "timestamp_granularities"),
        ({"temperature": 7}, "invalid_value", "temperature"),
        ({"file": ("x.wav", b"no sound")}, "invalid_audio", "file"),
        ({"file": ("x.wav", b"")}, "invalid_audio", "file"),
        ({"file": ("x.srt", b"1\n"), "response_format": "srt", "stream": True}, "invalid_value", "stream"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_tell_the_field_the_reason_and_the_mend(client: Any, options: Any, code: str, param: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.audio.transcriptions.create(**({"file": SAMPLES[0], "model": "tiny"} | options))
    error = caught.value.body
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) > 20
    assert "/tmp" not in error["message"]


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("whisper-1").id == "tiny"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_a_torn_file_is_named_as_its_owner_names_it(client: Any, speech: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match=r"mine\.wav is cut short"):
        client.audio.transcriptions.create(file=("mine.wav", speech[: len(speech) // 2]), model="tiny")


def test_a_stream_of_a_torn_file_brings_all_that_came_before(
    server: Running, recognizer: Any, long_speech: bytes
) -> None:
    import httpx

    from asr.errors import AudioError

    torn, expected = long_speech[: len(long_speech) * 9 // 10], []
    with pytest.raises(AudioError):
        expected.extend(recognizer.stream(torn, punctuation=False))
    form = {"model": "tiny", "stream": "true"}
    answer = httpx.post(
        f"{server.address}/v1/audio/transcriptions", files={"file": ("mine.wav", torn)}, data=form, timeout=60
    )
    *deltas, last = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert len(deltas) == len(expected) > 2
    assert "mine.wav is cut short" in last["error"]["message"]


@pytest.mark.parametrize(
    ("fault", "status", "code", "param"),
    [
        (MemoryError("no room"), 500, "internal_error", None),
        (UsageError("nobody can tell how the hotword 'QQ' is spoken"), 400, "invalid_value", None),
    ],
)
def test_only_a_fault_of_the_recording_is_called_one(
    serve_with: Any,
    monkeypatch: pytest.MonkeyPatch,
    speech: bytes,
    fault: Exception,
    status: int,
    code: str,
    param: Any,
) -> None:
    import httpx

    server = serve_with()

    def fail(batch: object) -> None:
        raise fault

    monkeypatch.setattr(server.service.engine.recognizer, "views", fail)
    answer = httpx.post(f"{server.address}/v1/audio/transcriptions", files={"file": ("a.wav", speech)}, timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert str(fault) in error["message"]


def test_health_and_metrics(server: Running, client: Any) -> None:
    import re

    import httpx

    client.audio.transcriptions.create(file=SAMPLES[0], model="tiny")
    assert httpx.get(f"{server.address}/health").json() == {"status": "ok", "model": "tiny"}
    text = httpx.get(f"{server.address}/metrics").text
    line = re.compile(r"(# (HELP|TYPE) asr_\w+ .+|asr_\w+(\{\w+=\"[^\"]*\"(,\w+=\"[^\"]*\")*\})? [-+.\de]+)")
    assert all(line.fullmatch(each) for each in text.splitlines())
    assert 'asr_requests_total{path="/v1/audio/transcriptions",status="200"}' in text
    assert float(re.search(r"^asr_audio_seconds_total (.+)$", text, re.MULTILINE)[1]) > 3
    assert "asr_queue_length 0" in text


@pytest.mark.parametrize(
    ("prompt", "keywords", "expected"),
    [
        ("", [], ()),
        ("The Gryffindor team with Hermione", [], ("GRYFFINDOR", "HERMIONE", "TEAM")),
        ("Gryffindor, gryffindor!", [], ("GRYFFINDOR",)),
        ("it is 5 o'clock", [], ("O'CLOCK",)),
        ("O’Brien", [], ("O'BRIEN",)),
        ("naïve Müller Smith", [], ("SMITH",)),
        ("<script>alert(1)</script>", [], ("ALERT", "SCRIPT")),
        ("", ["new york", "  ", "the", "a=9"], ("A", "NEW YORK", "THE")),
        ("x" * 500, [], ()),
        ("COVID19 spreads", ["R2D2", "Windows 11", "x²"], ("SPREADS", "WINDOWS")),
        ("", ["abcdefghi " * 9, "abcdefghi " * 8], ((" ABCDEFGHI" * 8).strip(),)),
    ],
)
def test_hotwords(prompt: str, keywords: list[str], expected: tuple[str, ...]) -> None:
    assert hotwords_of(prompt, keywords, [*string.ascii_uppercase, "'", "▁"]) == expected


def test_a_long_prompt_keeps_its_end() -> None:
    names = [f"Name{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}" for i in range(100)]
    kept = hotwords_of(" ".join(names), [], string.ascii_uppercase)
    assert set(kept) == {name.upper() for name in names[50:]}
