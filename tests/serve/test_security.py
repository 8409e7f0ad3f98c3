"""Who may ask, and what strangers may try: tokens, other pages, names that are paths, uploads without end."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from asr.errors import UsageError
from asr.serve.security import POLICY, ServeOptions, is_loopback, token_matches
from asr.serve.server import bind
from asr.serve.upload import display_name
from tests.serve.conftest import Running

PATH = "/v1/audio/transcriptions"
HOSTILE = "<script>alert(1)</script>"


def post(server: Running, data: bytes, name: str = "a.wav", headers: dict[str, str] | None = None, **fields: str):
    form = {"model": "tiny"} | fields
    return httpx.post(server.address + PATH, files={"file": (name, data)}, data=form, headers=headers, timeout=200)


def raw(server: Running, data: bytes, patience: float = 20) -> bytes:
    """Send bytes as they are, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience) as connection:
        connection.sendall(data)
        answer = b""
        while block := connection.recv(65536):
            answer += block
        return answer


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic secret"}, 401),
        ({"Authorization": "Bearer secret2"}, 401),
        ({"Authorization": "Bearer secret"}, 200),
        ({"Authorization": "bearer secret"}, 200),
    ],
    ids=str,
)
def test_a_token_is_asked_for(serve_with: Callable[..., Running], speech: bytes, header, status: int) -> None:
    server = serve_with(token="secret")
    answer = post(server, speech, headers=header)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{server.address}/metrics", headers=header).status_code == status
    assert httpx.get(f"{server.address}/health").status_code == 200
    assert httpx.get(server.address).status_code == 200


def test_tokens_are_compared_whole() -> None:
    assert token_matches("abc", "abc")
    for other in (None, "", "ab", "abcd", "äbc", "\udcff"):
        assert not token_matches(other, "abc")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8000"}, 200),
    ],
    ids=str,
)
def test_pages_of_others_cannot_use_the_server(server: Running, headers: dict[str, str], status: int) -> None:
    assert httpx.get(f"{server.address}/v1/models", headers=headers).status_code == status


def test_cors_is_for_those_who_were_named(serve_with: Callable[..., Running]) -> None:
    server = serve_with(cors=("https://mine.example",))
    answer = httpx.get(f"{server.address}/v1/models", headers={"Origin": "https://mine.example"})
    assert answer.headers["access-control-allow-origin"] == "https://mine.example"
    assert httpx.get(f"{server.address}/v1/models", headers={"Origin": "https://other.example"}).status_code == 403


def test_who_was_named_reads_why_it_is_turned_away(serve_with: Callable[..., Running]) -> None:
    server = serve_with(cors=("https://mine.example",), token="secret")
    answer = httpx.get(f"{server.address}/v1/models", headers={"Origin": "https://mine.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["access-control-allow-origin"] == "https://mine.example"


def test_a_page_may_send_the_headers_of_a_client(serve_with: Callable[..., Running]) -> None:
    server = serve_with(cors=("https://mine.example",), token="secret")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}
    for origin, status in (("https://mine.example", 200), ("https://other.example", 400)):
        answer = httpx.options(server.address + PATH, headers=asked | {"Origin": origin})
        assert answer.status_code == status


def test_without_cors_no_header_allows_anything(server: Running) -> None:
    own = {"Origin": server.address}
    assert "access-control-allow-origin" not in httpx.get(f"{server.address}/v1/models", headers=own).headers


def test_every_answer_has_its_security_headers(server: Running) -> None:
    for path in ("/", "/style.css", "/page.js", "/health", "/nothing", PATH):
        answer = httpx.get(server.address + path)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
    assert "unsafe" not in POLICY
    assert "http:" not in POLICY


def test_an_answer_after_a_bug_is_like_all_others(serve_with: Callable[..., Running], monkeypatch) -> None:
    server = serve_with()

    def fail(*arguments: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("asr.serve.app._render", fail)
    answer = httpx.post(f"{server.address}/formats/txt", content=b"{}")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert server.service.metrics.requests["/formats", 500] == 1


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "a\0b.wav", "a\r\nX: y.wav", HOSTILE, "", "x" * 5000],
)
def test_names_of_files_are_never_paths(server: Running, name: str) -> None:
    quoted = name.replace("\r\n", "%0D%0A").replace("\0", "%00")
    answer = post(server, b"RIFFnothing", name=quoted)
    assert answer.status_code == 400
    assert "passwd cannot" not in answer.text
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.text) < 1000
    assert server.uploads() == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../etc/passwd", "passwd"), ("C:\\x\\y.wav", "y.wav"), ("a\nb", "a_b"), ("", "the recording"), ("..", "..")],
)
def test_display_names(name: str, shown: str) -> None:
    assert display_name(name) == shown


def test_hostile_texts_come_back_as_data(server: Running, speech: bytes) -> None:
    answer = post(server, speech, name=HOSTILE, prompt=HOSTILE)
    assert answer.status_code == 200
    refused = post(server, speech, model=HOSTILE)
    assert refused.status_code == 404
    assert refused.headers["content-type"] == "application/json"
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_an_upload_that_is_too_large(serve_with: Callable[..., Running]) -> None:
    server = serve_with(max_upload=100_000)
    announced = post(server, bytes(3_000_000))
    assert announced.status_code == 413
    assert "--max-upload" in announced.json()["error"]["message"]

    def blocks():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(40):
            yield bytes(65536)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    unannounced = httpx.post(server.address + PATH, content=blocks(), headers=kind, timeout=60)
    assert unannounced.status_code == 413
    assert server.uploads() == []


@pytest.mark.parametrize("path", [PATH, "/formats/srt"])
def test_an_upload_that_drips_is_ended(serve_with: Callable[..., Running], path: str) -> None:
    server = serve_with(upload_patience=0.6)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: 50000\r\n\r\n--b\r\n".encode())
        connection.settimeout(0.1)
        answer = b""
        while not answer:
            connection.sendall(b"C")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                assert time.monotonic() - began < 15
    assert b" 408 " in answer
    assert server.uploads() == []


def test_a_head_that_never_ends_is_cut_off(serve_with: Callable[..., Running]) -> None:
    server = serve_with(head_timeout=0.4)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert connection.recv(100) == b""
    assert time.monotonic() - began < 15


def test_a_full_queue_says_when_to_come_again(serve_with: Callable[..., Running], speech: bytes) -> None:
    server = serve_with(queue=1)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as holding:
        holding.sendall(f"{head}Content-Length: 50000\r\n\r\n--b\r\n".encode())
        while server.service._transcriptions.waiting == 0:
            time.sleep(0.01)
        answer = post(server, speech)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["type"] == "rate_limit_error"
    while server.service._transcriptions.waiting:
        time.sleep(0.01)
    assert post(server, speech).status_code == 200


def test_a_client_that_leaves_stops_its_work(serve_with: Callable[..., Running]) -> None:
    """Half an hour of speech is begun by four clients that leave at once, and soon nothing is left of them."""
    from tests.audio.recordings import encode, noisy

    server = serve_with()
    data = encode(noisy(400.0, 4), 16000, "FLAC")
    began = time.monotonic()

    def leave(stream: str) -> None:
        try:
            httpx.post(
                server.address + PATH,
                files={"file": ("a.flac", data)},
                data={"stream": stream},
                timeout=httpx.Timeout(30, read=0.3),
            )
        except httpx.ReadTimeout:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(leave, ["true", "false", "true", "false"]))
    while server.service._transcriptions.waiting or server.service.engine._recordings or server.uploads():
        assert time.monotonic() - began < 60
        time.sleep(0.05)


def test_a_client_killed_in_mid_upload_leaves_nothing(server: Running, speech: bytes) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}Content-Length: 500000\r\n\r\n".encode() + part + speech)
        while not server.uploads():
            time.sleep(0.01)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    while server.uploads() or server.service._transcriptions.waiting:
        time.sleep(0.01)
    assert post(server, speech).status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("x.y", False)],
)
def test_what_is_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize("host", ["..", "x" * 100])
def test_what_is_no_name_of_a_host_is_told(host: str) -> None:
    with pytest.raises(UsageError, match=r"is no name of a host\n  Choose another --host"):
        bind(host, 0)


@pytest.mark.parametrize("options", [{"token": " "}, {"token": "ä"}, {"queue": 0}, {"port": 70000}, {"cors": ("x",)}])
def test_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ServeOptions(**options)


def test_formats_take_transcripts_only(server: Running) -> None:
    def ask(body: object, form: str = "srt") -> httpx.Response:
        return httpx.post(
            f"{server.address}/formats/{form}", content=body if isinstance(body, bytes) else json.dumps(body)
        )

    word = {"text": HOSTILE, "start": 0.0, "end": 1.0, "confidence": 0.5}
    segment = {"start": 0.0, "end": 1.0, "text": HOSTILE, "words": [word]}
    good = {"name": "../x", "duration": 1.0, "segments": [segment]}
    assert "&lt;script&gt;" in ask(good).text
    assert ask(good, "json").json()["segments"][0]["text"] == HOSTILE
    for bad in (b"", b"[", b"{}", b"NaN", b"[" * 100_000, [], {**good, "duration": "x"}, {**good, "segments": [{}]}):
        assert ask(bad).status_code == 400
    assert ask(good, "exe").status_code == 404
    assert ask(b" " * 20_000_001).status_code == 413
    assert ask(json.dumps(good).replace("../x", "\\ud800").encode()).status_code == 400  # half a pair is no text
    infinite = json.dumps(good).replace("1.0", "1e999")
    assert ask(infinite.encode()).status_code == 400
