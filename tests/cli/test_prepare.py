"""`asr prepare` as a person runs it: what is printed where, and the exit code."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asr.corpus.manifest import read_manifest
from tests.corpus.recordings import write_librispeech, write_tone


def asr(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asr.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_librispeech_prints_a_line_per_part(tmp_path: Path) -> None:
    write_librispeech(tmp_path, "dev-clean", {"1-2-0000": "TWO WORDS"})
    write_librispeech(tmp_path, "train-clean-100", {"3-4-0000": "WORDS"})
    done = asr("prepare", "librispeech", "--root", tmp_path, "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{tmp_path}/out/{part}.jsonl: 1 utterance, 0.00 h, {words}, 1 speaker, partial: 1 of {size} utterances"
        for part, words, size in (("dev-clean", "2 words", "2,703"), ("train-clean-100", "1 word", "28,539"))
    ]


def test_losses_are_named_and_exit_1_with_the_rest_written(tmp_path: Path) -> None:
    for name in ("good", "torn"):
        write_tone(tmp_path / "mine" / f"{name}.wav").with_suffix(".txt").write_text("words")
    (tmp_path / "mine/torn.wav").write_bytes(b"RIFF")
    done = asr("prepare", "folder", "--root", tmp_path / "mine", "-o", tmp_path)
    assert done.returncode == 1
    assert "torn.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert [utterance.id for utterance in read_manifest(tmp_path / "mine.jsonl")] == ["good"]


def test_names_that_are_not_utf8_are_named_and_stop_nothing(tmp_path: Path) -> None:
    for name in ("good", "linked"):
        write_tone(tmp_path / "mine" / f"{name}.wav").with_suffix(".txt").write_text("words")
    for name in (b"caf\xe9", b"textless\xe9", b"deep\xe9/target"):
        write_tone(tmp_path / "mine/new.wav").with_suffix(".txt").write_text("words")
        path = tmp_path / "mine" / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        (tmp_path / "mine/new.wav").rename(f"{path}.wav")
        (tmp_path / "mine/new.txt").rename(f"{path}.txt")
    (tmp_path / "mine" / os.fsdecode(b"textless\xe9.txt")).unlink()
    (tmp_path / "mine/linked.wav").unlink()
    (tmp_path / "mine/linked.wav").symlink_to(tmp_path / "mine" / os.fsdecode(b"deep\xe9/target.wav"))
    (tmp_path / "mine/loop.wav").symlink_to("loop.wav")
    (tmp_path / "mine/loop.txt").write_text("words")
    done = asr("prepare", "folder", "--root", tmp_path / "mine", "-o", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "loop.wav cannot be read" in done.stderr
    assert f"skipped '{tmp_path}/mine/caf\\udce9.wav': its name is not UTF-8; rename it" in done.stderr
    assert done.stderr.count("rename it") == 3
    assert "no textless\\udce9.txt beside it" in done.stderr
    assert [utterance.id for utterance in read_manifest(tmp_path / "mine.jsonl")] == ["good"]


def test_kaldi_there_and_back(tmp_path: Path) -> None:
    write_tone(tmp_path / "mine/a.wav").with_suffix(".txt").write_text("words")
    assert asr("prepare", "folder", "--root", tmp_path / "mine", "-o", tmp_path).returncode == 0
    assert asr("prepare", "kaldi-export", tmp_path / "mine.jsonl", "-o", tmp_path / "data").returncode == 0
    assert asr("prepare", "kaldi", "--root", tmp_path / "data", "-o", tmp_path / "back").returncode == 0
    assert [one.text for one in read_manifest(tmp_path / "back/data.jsonl")] == ["WORDS"]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["librispeech"], 2, "--root"),
        (["librispeech", "--root", "nowhere", "-o", "out"], 1, "nowhere"),
        (["librispeech", "--root", "nowhere", "-o", "out", "--download"], 2, "--part"),
        (["librispeech", "--root", "nowhere", "-o", "out", "--download", "--part", "dev-cleen"], 2, "dev-cleen"),
        (["folder", "--root", ".", "-o", "out", "--speaker-from", "("], 2, "--speaker-from"),
        (["folder", "--root", ".", "-o", "out", "--normalize", "whisperer"], 2, "librispeech"),
        (["ljspeech", "--root", "nowhere", "-o", "out"], 1, "metadata.csv"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, named: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    done = asr("prepare", *arguments)
    assert done.returncode == code
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_gives_something_else_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "server/31").mkdir(parents=True)
    (tmp_path / "server/31/dev-clean-2.tar.gz").write_bytes(b"not the corpus")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "server"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}"
        options = ["--download", "--part", "dev-clean-2", "--mirror", mirror]
        done = asr("prepare", "librispeech", "--root", tmp_path / "root", "-o", tmp_path, *options)
        server.shutdown()
    assert done.returncode == 1
    assert "6d7ab67ac6a1d2c993d050e16d61080d" in done.stderr  # as OpenSLR publishes it
    assert list((tmp_path / "root").iterdir()) == []
