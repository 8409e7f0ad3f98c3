"""Requests that no client would send: answered or closed, never with a fault, and the next one is served."""

from __future__ import annotations

import logging
import socket
import string

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.conftest import Running

PATH = "/v1/audio/transcriptions"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "

names = st.sampled_from(["file", "model", "prompt", "language", "response_format", "stream", "temperature"])
values = st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=200)
parts = st.tuples(
    st.sampled_from([b"Content-Disposition", b"content-disposition", b"X", b""]),
    st.sampled_from([b"form-data", b"attachment", b""]),
    names.map(str.encode) | st.binary(max_size=10),
    st.sampled_from([b"", b'; filename="a.wav"', b"; filename*=UTF-8''%ff", b'; filename="']),
    values,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A multipart body with something wrong, or nothing at all."""
    body = b"".join(b'--b\r\n%s: %s; name="%s"%s\r\n\r\n%s\r\n' % part for part in draw(st.lists(parts, max_size=4)))
    body += draw(st.sampled_from([b"--b--\r\n", b"--b--", b"--b", b"", b"\r\n"]))
    cut = draw(st.integers(0, len(body)))
    return draw(st.sampled_from([body, body[:cut], body[cut:], body[:cut] + draw(st.binary(max_size=9)) + body[cut:]]))


kinds = st.sampled_from(
    [
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        'multipart/form-data; boundary="',
        "multipart/form-data; boundary=" + "x" * 300,
        "application/json",
        "",
    ]
) | st.text(string.printable.replace("\r", "").replace("\n", ""), max_size=30)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request for a transcript, or noise where one should be."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300)) + b"\r\n\r\n"
    body = draw(bodies())
    length = len(body) + draw(st.sampled_from([0, 0, 0, 0, -1]))
    head = (HEAD + draw(kinds)).encode("latin-1", "replace")
    return head + f"\r\nContent-Length: {max(0, length)}\r\n\r\n".encode() + body


def send(port: int, data: bytes) -> bytes:
    """The answer to bytes after which nothing more comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while block := connection.recv(65536):
                answer += block
        except ConnectionError:
            return b""
        return answer


def check(server: Running, data: bytes, logged: list[str]) -> None:
    answer = send(server.port, data)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert not answer.startswith(b"HTTP/1.1 5")
    assert not [line for line in logged if "Traceback" in line or "Exception" in line]


@pytest.fixture(scope="module")
def logged() -> list[str]:
    """What the server logs from here on."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    logging.getLogger("uvicorn.error").addHandler(Keep())
    return lines


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(deadline=None, max_examples=200, suppress_health_check=QUIET)
@given(data=requests())
def test_nothing_malformed_does_harm(server: Running, logged: list[str], data: bytes) -> None:
    check(server, data, logged)


def test_and_the_next_request_is_served(server: Running, speech: bytes) -> None:
    answer = httpx.post(server.address + PATH, files={"file": ("a.wav", speech)}, timeout=60)
    assert answer.status_code == 200
    assert server.uploads() == []


@pytest.mark.slow
@settings(deadline=None, max_examples=10_000, suppress_health_check=QUIET)
@given(data=requests())
def test_nor_do_ten_thousand(server: Running, logged: list[str], data: bytes) -> None:
    check(server, data, logged)
