"""Many clients at once against `asr serve` on this machine: nothing lost, nothing mixed up, memory flat, and how fast.

    python -m tests.benchmarks.serving [FILE...] [--clients 32] [--seconds 180] [--model MODEL]

Without FILE the samples are sent. Throughput is compared with `asr transcribe` on the same files, in one process that
has loaded its model, both in float32, where the same sound gives the same text. All traffic stays on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATH = "/v1/audio/transcriptions"


@dataclass
class Load:
    """What happened: answers by status, those that differ from what was expected, and the server's memory."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    mixed_up: int = 0
    audio_seconds: float = 0.0
    elapsed: float = 0.0
    latencies: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and resident megabytes."""

    @property
    def times_real_time(self) -> float:
        """Seconds of sound answered in a second."""
        return self.audio_seconds / self.elapsed


def start_server(model: str, *options: str) -> tuple[subprocess.Popen[str], int]:
    """A server on a free port, ready to answer."""
    command = [sys.executable, "-m", "asr.cli.main", "serve", "-m", model, "--port", "0", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"serving at http://127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the server
            return process, int(found[1])
    raise SystemExit("the server did not start")


def post(port: int, path: Path) -> tuple[int, dict[str, object]]:
    """One request: its status and answer."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n' % path.name.encode()
    body += path.read_bytes() + b"\r\n--b--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", PATH, body, {"Content-Type": "multipart/form-data; boundary=b"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def put_load(
    process: subprocess.Popen[str], port: int, expected: dict[Path, str], clients: int, seconds: float
) -> Load:
    """`clients` that ask for file after file for so many seconds."""
    from asr.audio.stream import probe_audio

    load, lock, files = Load(), threading.Lock(), list(expected)
    lengths = {path: probe_audio(path).duration for path in files}
    began = time.monotonic()

    def ask_on(number: int) -> None:
        turn = number
        while time.monotonic() < began + seconds:
            path, asked = files[turn % len(files)], time.monotonic()
            turn += 1
            try:
                status, answer = post(port, path)
            except OSError:
                with lock:
                    load.lost += 1
                continue
            with lock:
                load.statuses[status] += 1
                if status == 200:
                    load.audio_seconds += lengths[path]
                    load.latencies.append(time.monotonic() - asked)
                    load.mixed_up += answer["text"] != expected[path]
            if status == 429:
                time.sleep(1)

    threads = [threading.Thread(target=ask_on, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        load.memory.append((time.monotonic() - began, resident_megabytes(process.pid)))
        time.sleep(min(5.0, seconds / 20))
    load.elapsed = time.monotonic() - began
    return load


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]


def expect(files: list[Path], model: str) -> tuple[dict[Path, str], float]:
    """What `asr transcribe` says of each file, and its speed as a multiple of real time over three rounds."""
    import asr
    from asr.transcription.readable import Readable

    recognizer = asr.load_model(None if model == "default" else model, precision="float32")
    requests = [asr.Request(path, str(path)) for path in files]
    readable = Readable(recognizer.model.path)

    def transcripts(times: int) -> Iterator[asr.Transcript]:
        for outcome in readable.transcripts(recognizer.transcribe_many(requests * times)):
            assert isinstance(outcome, asr.Transcript), outcome
            yield outcome.in_case("sentence")

    texts = {Path(each.name): each.text for each in transcripts(1)}
    began = time.monotonic()
    seconds = sum(each.duration for each in transcripts(3))
    return texts, seconds / (time.monotonic() - began)


def main() -> None:
    """Print a table of what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--model", default="default")
    parser.add_argument("--queue", type=int, default=32)
    options = parser.parse_args()
    samples = ROOT / "data" / "samples"
    files = options.files or sorted(path for path in samples.iterdir() if path.suffix in (".wav", ".flac", ".ogg"))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    expected, alone = expect(files, options.model)
    print(f"asr transcribe on {len(files)} files: {alone:.1f} × real time")
    process, port = start_server(options.model, "--queue", str(options.queue), "--precision", "float32")
    try:
        load = put_load(process, port, expected, options.clients, options.seconds)
    finally:
        process.terminate()
        process.wait(40)
    load.latencies.sort()
    minute = [megabytes for at, megabytes in load.memory if at >= min(60, options.seconds / 3)] or [0.0]
    print(f"{options.clients} clients for {load.elapsed:.0f} s: answers by status {dict(load.statuses)}")
    print(f"{load.lost} lost, {load.mixed_up} with another's text; {load.times_real_time:.1f} × real time")
    if load.latencies:
        middle = load.latencies[len(load.latencies) // 2]
        print(f"half the answers within {middle:.2f} s, the slowest {load.latencies[-1]:.2f} s")
    print(
        f"memory after the first minute {minute[0]:.0f} MB, then at most {max(minute):.0f}, at the end {minute[-1]:.0f}"
    )
    _, again = expect(files, options.model)
    share = load.times_real_time / ((alone + again) / 2)
    print(f"asr transcribe after the load: {again:.1f} × real time; the server had {share:.2f} of it")


if __name__ == "__main__":
    main()
