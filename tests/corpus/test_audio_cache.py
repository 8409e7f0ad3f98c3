"""The cache of decoded audio: exact, made once, whole after a kill, and plain about what cannot be read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio.stream import read_audio
from asr.corpus import audio_cache
from asr.corpus.audio_cache import open_cache
from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from asr.errors import AsrError, AudioError
from tests.corpus.recordings import write_tone

RATE = 16000


def utterances(folder: Path, count: int, seconds: float = 0.2, suffix: str = ".wav") -> list[Utterance]:
    paths = [write_tone(folder / f"{n}{suffix}", seconds + n / 1000, amplitude=0.1 + n / 1000) for n in range(count)]
    return [Utterance(str(n), path, seconds + n / 1000) for n, path in enumerate(paths)]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_cache, "SHARD", 4)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_samples_are_those_of_the_recordings(tmp_path: Path, count: int) -> None:
    speech = utterances(tmp_path, count)
    cache = open_cache(speech, tmp_path / "cache", RATE)
    assert len(cache) == count
    for index, utterance in enumerate(speech):
        wanted = read_audio(utterance.audio, RATE)
        assert cache.samples(index) == len(wanted)
        assert cache[index].dtype == np.float32
        np.testing.assert_allclose(cache[index], wanted, atol=1 / 32768)
    subset = cache.subset([count - 1, 0])
    np.testing.assert_array_equal(subset[0], cache[count - 1])


def test_stretches_other_rates_and_full_scale(tmp_path: Path) -> None:
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, np.array([1.5, -1.5, 1.0, -1.0] * 4000), 8000, subtype="FLOAT")
    stretch = Utterance("s", loud, 0.5, offset=0.25)
    cache = open_cache([stretch], tmp_path / "cache", RATE)
    assert cache.samples(0) == 8000
    assert np.abs(cache[0]).max() <= 1.0


@pytest.mark.usefixtures("small_shards")
def test_a_second_start_decodes_nothing(tmp_path: Path) -> None:
    speech = utterances(tmp_path, 6)
    first = open_cache(speech, tmp_path / "cache", RATE)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.*")}
    for utterance in speech:
        utterance.audio.unlink()
    steps: list[tuple[int, int]] = []
    again = open_cache(speech, tmp_path / "cache", RATE, progress=lambda *step: steps.append(step))
    np.testing.assert_array_equal(again[5], first[5])
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.*")} == written
    assert steps == [(4, 6), (6, 6)]


def times(root: Path) -> dict[str, int]:
    """When each shard was made."""
    return {path.stem: path.stat().st_mtime_ns for path in root.rglob("*.json")}


def unmark(path: Path) -> None:
    """Make a shard's index one of the time before recordings were marked."""
    status = path.stat()
    path.write_text(json.dumps(json.loads(path.read_text())["lengths"]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "of a former version"])
def test_a_recording_that_changed_in_place_is_decoded_again(tmp_path: Path, marked: bool) -> None:
    speech = utterances(tmp_path, 10)
    before = open_cache(speech, tmp_path / "cache", RATE)[5]
    for index in (tmp_path / "cache").rglob("*.json"):
        if not marked:
            unmark(index)
    made = times(tmp_path / "cache")
    write_tone(speech[5].audio, speech[5].duration, amplitude=0.3)  # as long as it was
    speech[9].audio.unlink()  # another shard's: nothing new can be known of it
    cache = open_cache(speech, tmp_path / "cache", RATE)
    np.testing.assert_allclose(cache[5], read_audio(speech[5].audio, RATE), atol=1 / 32768)
    assert np.abs(cache[5]).max() > 2 * np.abs(before).max()
    after = times(tmp_path / "cache")
    assert [shard for shard in made if after[shard] != made[shard]] == ["00001"]
    open_cache(speech, tmp_path / "cache", RATE)
    assert times(tmp_path / "cache") == after


@pytest.mark.parametrize(("size", "seconds"), [(1, 0), (0, -3600)], ids=["size", "an earlier time"])
def test_either_size_or_time_tells_that_a_recording_changed(tmp_path: Path, size: int, seconds: int) -> None:
    (speech,) = utterances(tmp_path, 1)
    open_cache([speech], tmp_path / "cache", RATE)
    made, status = times(tmp_path / "cache"), speech.audio.stat()
    speech.audio.write_bytes(speech.audio.read_bytes() + b"\0" * size)
    os.utime(speech.audio, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))
    open_cache([speech], tmp_path / "cache", RATE)
    assert times(tmp_path / "cache") != made


def test_a_changed_recording_beside_one_that_is_gone_is_an_error(tmp_path: Path) -> None:
    speech = utterances(tmp_path, 2)
    open_cache(speech, tmp_path / "cache", RATE)
    write_tone(speech[0].audio, 0.3)
    speech[1].audio.unlink()
    with pytest.raises(AudioError, match="recordings cannot be read") as caught:
        open_cache(speech, tmp_path / "cache", RATE)
    assert "1.wav" in str(caught.value)


def test_other_rates_and_stretches_have_caches_of_their_own(tmp_path: Path) -> None:
    (speech,) = utterances(tmp_path, 1)
    later = Utterance(speech.id, speech.audio, 0.1, offset=0.1)
    lengths = [
        open_cache([u], tmp_path / "c", rate).samples(0) for u, rate in [(speech, RATE), (speech, 8000), (later, RATE)]
    ]
    assert lengths == [3200, 1600, 1600]


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("00001.pcm", b"\0" * 10),
        ("00001.pcm", None),
        ("00001.json", b""),
        ("00001.json", b"[3200"),
        ("00001.json", b"{}"),
        ("00001.json", b'{"a": 1}'),
        ("00001.json", b"[1]"),
        ("00001.json", b"3"),
        ("00001.json", b'{"lengths": [1], "recordings": []}'),
        ("00001.json", None),
    ],
)
def test_a_torn_shard_is_made_again(tmp_path: Path, file: str, content: bytes | None) -> None:
    speech = utterances(tmp_path, 10)
    whole = open_cache(speech, tmp_path / "cache", RATE)
    wanted = [whole[index] for index in range(10)]
    (folder,) = (tmp_path / "cache").iterdir()
    untouched = (folder / "00000.pcm").stat().st_mtime_ns
    if content is None:
        (folder / file).unlink()
    else:
        # A new file: the mapped one must not shrink beneath its reader.
        (folder / "torn").write_bytes(content)
        (folder / "torn").replace(folder / file)
    again = open_cache(speech, tmp_path / "cache", RATE)
    for index in range(10):
        np.testing.assert_array_equal(again[index], wanted[index])
    assert (folder / "00000.pcm").stat().st_mtime_ns == untouched


@pytest.mark.usefixtures("small_shards")
def test_every_unreadable_recording_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    speech = utterances(tmp_path, 12)
    speech[5].audio.write_bytes(b"RIFF")
    speech[6].audio.unlink()
    with pytest.raises(AudioError, match="2 recordings cannot be read") as caught:
        open_cache(speech, tmp_path / "cache", RATE)
    for index in (5, 6):
        assert f"{index}.wav" in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*.pcm")) == ["00000.pcm", "00002.pcm"]
    for index in (5, 6):
        write_tone(speech[index].audio, speech[index].duration)
    assert len(open_cache(speech, tmp_path / "cache", RATE)) == 12


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AsrError, match="cannot make the folder"):
        open_cache(utterances(tmp_path, 1), tmp_path / "file", RATE)


DECODE = """
import sys
from pathlib import Path
from asr.corpus import audio_cache
from asr.corpus.manifest import read_manifest
audio_cache.SHARD = 4
audio_cache.open_cache(read_manifest(sys.argv[1]), Path(sys.argv[2]), 16000)
"""


def test_killed_while_decoding_then_finished(tmp_path: Path, small_shards: None) -> None:
    manifest, root = tmp_path / "m.jsonl", tmp_path / "cache"
    write_manifest(manifest, utterances(tmp_path / "audio", 80, seconds=2.0, suffix=".flac"))
    speech = read_manifest(manifest)
    process = subprocess.Popen([sys.executable, "-c", DECODE, str(manifest), str(root)], env=os.environ)
    while len(list(root.rglob("*.json"))) < 2:
        assert process.poll() is None, "it was done before it could be killed"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path: path.stat().st_mtime_ns for path in root.rglob("*.json")}
    assert 2 <= len(made) < 20
    cache = open_cache(speech, root, RATE)
    assert {path: path.stat().st_mtime_ns for path in made} == made, "what was done is not done again"
    for index in (0, 9, 10, 79):
        np.testing.assert_allclose(cache[index], read_audio(speech[index].audio, RATE), atol=1 / 32768)
