"""Uploads always go away: with their request, with their server, or when the next server starts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from asr.serve.api import ApiError
from asr.serve.security import ServeOptions
from asr.serve.upload import TemporaryFolder, receive_upload

ROOT = Path(__file__).resolve().parents[2]


def test_files_go_with_their_block(tmp_path: Path) -> None:
    folder = TemporaryFolder(tmp_path)
    with folder.new_file() as path:
        path.write_bytes(b"x")
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_living_server_keeps_its_folder(tmp_path: Path) -> None:
    first = TemporaryFolder(tmp_path)
    with first.new_file() as path:
        second = TemporaryFolder(tmp_path)
        assert path.exists()
        second.close()
    first.close()


def test_what_a_killed_server_left_goes_at_the_next_start(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from asr.serve.upload import TemporaryFolder
with TemporaryFolder(Path({str(tmp_path)!r})).new_file() as path:
    path.write_bytes(bytes(1000))
    print("ready", flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.glob("asr-serve-*/upload-*"))) == 1
    TemporaryFolder(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_links_and_strangers_are_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ".lock").touch()
    (tmp_path / "asr-serve-link").symlink_to(precious)
    (tmp_path / "asr-serve-file").touch()
    (tmp_path / "asr-serve-other").mkdir()
    (tmp_path / "asr-serve-other" / "theirs").touch()
    TemporaryFolder(tmp_path).close()
    assert (precious / ".lock").exists()
    assert (tmp_path / "asr-serve-file").exists()
    assert (tmp_path / "asr-serve-other" / "theirs").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_disk_that_is_full_when_the_last_bytes_are_written_is_told() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    messages = [{"type": "http.request", "body": head + b"sound\r\n--b--\r\n"}]

    async def receive() -> Any:
        return messages.pop()

    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=b")]}
    with pytest.raises(ApiError, match="the upload cannot be kept: No space left on device"):
        asyncio.run(receive_upload(Request(scope, receive), Path("/dev/full"), ServeOptions()))
