"""Downloads from a real server on the loopback that tears connections, lies and is slow; archives that attack."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asr.corpus import download as module
from asr.corpus.download import Archive, download, fetch, unpack
from asr.corpus.librispeech import download_librispeech
from asr.errors import DataError

SPEECH = os.urandom(300_000)


class Server(ThreadingHTTPServer):
    """Serves one body; `tear` bytes into each answer the connection is cut; `pause` seconds between pieces."""

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.tear: int | None = None
        self.pause = 0.0
        self.ranges = True
        self.busy = 0
        self.asked: list[str] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/31/part.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server
    piece = 20_000

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range", "")
        server.asked.append(wanted)
        if server.busy:
            server.busy -= 1
            self.send_error(503)
            return
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and server.ranges else 0
        if start and start >= len(server.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        body = server.body[start:] if server.tear is None else server.body[start : start + server.tear]
        for begin in range(0, len(body), self.piece):
            try:
                self.wfile.write(body[begin : begin + self.piece])
                self.wfile.flush()
            except OSError:
                return
            server.sent = start + begin + self.piece
            time.sleep(server.pause)

    def log_message(self, *arguments: object) -> None:
        pass


def tar(*members: tuple[tarfile.TarInfo | str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


OUTSIDE = Path(tempfile.gettempdir()) / "escaped-from-a-tar-archive"  # an absolute path that could be written
CORPUS = tar(
    ("Corpus/README", b"read me"), ("Corpus/part/1/a.flac", SPEECH), ("Corpus/part/1/a.trans.txt", b"a WORDS\n")
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    with Server(CORPUS) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def archive_of(server: Server, algorithm: str = "md5", body: bytes | None = None) -> Archive:
    digest = hashlib.new(algorithm, server.body if body is None else body).hexdigest()
    return Archive(server.url, f"{algorithm}:{digest}", "Corpus/part")


def assert_complete(root: Path) -> None:
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {"Corpus/README", "Corpus/part/1/a.flac", "Corpus/part/1/a.trans.txt"}
    assert (root / "Corpus/part/1/a.flac").read_bytes() == SPEECH


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_fetched_unpacked_and_left_alone_afterwards(server: Server, tmp_path: Path, algorithm: str) -> None:
    archive = archive_of(server, algorithm)
    assert download(archive, tmp_path) == tmp_path / "Corpus/part"
    assert_complete(tmp_path)
    before = (tmp_path / "Corpus/part").stat().st_mtime_ns
    download(archive, tmp_path)
    assert len(server.asked) == 1
    assert (tmp_path / "Corpus/part").stat().st_mtime_ns == before


def test_torn_connections_are_taken_up_where_they_broke(server: Server, tmp_path: Path) -> None:
    server.tear = 70_000
    download(archive_of(server), tmp_path)
    assert_complete(tmp_path)
    assert server.asked == ["", *(f"bytes={start}-" for start in range(70_000, len(CORPUS), 70_000))]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "part.tar.gz.part").write_bytes(CORPUS[:50_000])
    download(archive_of(server), tmp_path)
    assert_complete(tmp_path)


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.busy = 3
    download(archive_of(server), tmp_path)
    assert_complete(tmp_path)


def test_a_dead_server_is_an_error_that_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.busy = 99
    (tmp_path / "part.tar.gz.part").write_bytes(CORPUS[:50_000])
    with pytest.raises(DataError, match="503"):
        download(archive_of(server), tmp_path)
    assert (tmp_path / "part.tar.gz.part").read_bytes() == CORPUS[:50_000]
    server.busy = 0
    download(archive_of(server), tmp_path)
    assert_complete(tmp_path)
    assert server.asked[-1] == "bytes=50000-"


@pytest.mark.parametrize("mirror", ["openslr.example", "http://a..b"])
def test_a_mirror_that_is_no_address_is_named(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(DataError, match=f"{mirror}/31/dev-clean-2.tar.gz is no address"):
        download_librispeech(tmp_path, ["dev-clean-2"], mirror=mirror)


def test_a_wrong_checksum_unpacks_nothing_and_keeps_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="checksum") as caught:
        download(archive_of(server, body=b"what was published"), tmp_path)
    assert server.url in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rest", [b"\0" * 50_000, CORPUS + b"more", b"\0" * len(CORPUS)])
def test_a_bad_piece_from_an_earlier_run_is_fetched_anew(server: Server, tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "part.tar.gz.part").write_bytes(rest)
    download(archive_of(server), tmp_path)
    assert_complete(tmp_path)


def test_an_archive_that_somebody_put_there_is_used_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part.tar.gz").write_bytes(CORPUS)
    download(archive_of(server), tmp_path)
    assert server.asked == []
    assert (tmp_path / "part.tar.gz").exists()


def test_a_second_part_joins_the_first(tmp_path: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / "x.tar.gz").write_bytes(tar(("Corpus/README", part.encode()), (f"Corpus/{part}/a", b"a")))
        unpack(tmp_path / "x.tar.gz", tmp_path)
    assert sorted(path.name for path in (tmp_path / "Corpus").iterdir()) == ["README", "one", "two"]


@pytest.mark.parametrize(
    "hostile",
    [
        tar(("Corpus/fine", b"x"), ("../escaped", b"x")),
        tar(("Corpus/../../escaped", b"x")),
        tar((str(OUTSIDE), b"x")),
        tar((link("Corpus/out", "..", tarfile.SYMTYPE), b""), ("Corpus/out/escaped", b"x")),
        tar((link("Corpus/out", "/etc/passwd", tarfile.SYMTYPE), b"")),
        tar((link("Corpus/out", "../../secret", tarfile.LNKTYPE), b"")),
        tar((link("Corpus/pipe", "", tarfile.FIFOTYPE), b"")),
        tar((link("Corpus/device", "", tarfile.CHRTYPE), b"")),
        tar(("Corpus\\..\\escaped", b"x")),
    ],
    ids=lambda content: type(content).__name__,
)
@pytest.mark.parametrize("filtered", [True, False])
def test_a_hostile_archive_writes_nothing(
    tmp_path: Path, hostile: bytes, filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not filtered:  # Python 3.10 without its security releases has no filter
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    (tmp_path / "secret").write_text("untouched")
    root = tmp_path / "root"
    root.mkdir()
    (root / "x.tar.gz").write_bytes(hostile)
    with pytest.raises(DataError, match="refused"):
        unpack(root / "x.tar.gz", root)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "root", "root/x.tar.gz", "secret",
    ]  # fmt: skip
    assert not OUTSIDE.exists()


@pytest.mark.parametrize(
    "keep", [0, 100, len(CORPUS) // 2, len(CORPUS) * 3 // 4], ids=["nothing", "a little", "half", "most"]
)
def test_a_torn_archive_unpacks_nothing(tmp_path: Path, keep: int) -> None:
    (tmp_path / "x.tar.gz").write_bytes(CORPUS[:keep])
    with pytest.raises(DataError, match="torn"):
        unpack(tmp_path / "x.tar.gz", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]


def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import sys\n" + code, *arguments])


def wait_until(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come to that"
        threading.Event().wait(0.005)


def test_a_download_killed_midway_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # real pauses
    server.pause = 0.05
    code = (
        "from asr.corpus import download as d; from pathlib import Path; d._BLOCK = 1024\n"
        "d.fetch(d.Archive(sys.argv[1], 'md5:0', 'Corpus'), Path(sys.argv[2]))"
    )
    process = start(code, server.url, str(tmp_path))
    part = tmp_path / "part.tar.gz.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 40_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert 40_000 < kept < len(CORPUS)
    assert not (tmp_path / "part.tar.gz").exists()
    server.pause = 0.0
    fetch(archive_of(server), tmp_path)
    assert server.asked[-1] == f"bytes={kept}-"
    assert (tmp_path / "part.tar.gz").read_bytes() == CORPUS


def test_an_unpacking_killed_midway_leaves_no_half_corpus(tmp_path: Path) -> None:
    names = [f"Corpus/part/{number:04}.flac" for number in range(3000)]
    (tmp_path / "x.tar.gz").write_bytes(tar(*((name, name.encode()) for name in names)))
    code = (
        "from asr.corpus.download import unpack; from pathlib import Path; import time\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]), lambda *_: time.sleep(0.001))"
    )
    process = start(code, str(tmp_path / "x.tar.gz"), str(tmp_path))
    half = tmp_path / ".x.tar.gz.unpacking/Corpus/part"
    wait_until(lambda: half.is_dir() and len(list(half.iterdir())) > 100)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(half.iterdir())) < 3000
    assert not (tmp_path / "Corpus").exists()
    unpack(tmp_path / "x.tar.gz", tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "Corpus/part").iterdir()} == set(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Corpus", "x.tar.gz"]
