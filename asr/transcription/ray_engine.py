"""Many machines: files spread over a Ray cluster, one model per worker.

A worker that is lost (killed, out of memory, its machine gone) takes nothing with it: its files go to another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from asr.errors import AsrError, UsageError
from asr.model.bundle import load_saved_model
from asr.transcription.decoder import DecodeOptions, make_decode, plan_search
from asr.transcription.reader import Request
from asr.transcription.result import Failure, Transcript

_CHUNK = 16
"""Files that a worker takes at a time: enough to fill batches, few enough to lose."""
_ATTEMPTS = 3


def transcribe_with_ray(
    requests: Sequence[Request],
    model: Path | str | None = None,
    *,
    words: bool = True,
    device: str = "auto",
    search: DecodeOptions | None = None,
    threads: int = 1,
) -> Iterator[Transcript | Failure]:
    """The outcome of each request in order, as `Recognizer.transcribe_many` gives them.

    The cluster of `RAY_ADDRESS`, or else a local one, runs as many workers of `threads` processors as it has room for.
    Every worker must find the model and the recordings under the same paths; all run on processors. Raises `UsageError`
    when Ray is not installed, for a GPU and for a faulty search, `ModelError` when a model cannot be loaded.
    """
    if device == "cuda":
        raise UsageError("workers of Ray run on processors", "Leave --device out, or take --engine local.")
    if find_spec("ray") is None:
        raise UsageError("--engine ray needs Ray", "In the project's folder: .venv/bin/pip install -e '.[ray]'")
    ray: Any = import_module("ray")

    # What is wrong with these is to be told here, not by every worker.
    saved = load_saved_model(model)
    make_decode(saved, plan_search(saved.path, search))
    if not ray.is_initialized():
        ray.init(log_to_driver=False, configure_logging=False)
    chunks = [list(requests[start : start + _CHUNK]) for start in range(0, len(requests), _CHUNK)]
    processors = int(ray.cluster_resources().get("CPU", 1))
    if threads > processors:  # Ray would wait for more to join
        raise UsageError(f"a worker of {threads} threads has no place on a cluster of {processors} processors")
    count = min(processors // threads, len(chunks))
    # A worker that is lost begins anew, and Ray gives it again what it was at.
    hired = ray.remote(num_cpus=threads, max_restarts=-1, max_task_retries=_ATTEMPTS - 1)(Worker)
    workers = [hired.remote(str(model) if model is not None else None, threads, search) for _ in range(count)]
    try:
        yield from _spread(ray, workers, chunks, words)
    finally:
        for worker in workers:
            ray.kill(worker)


class Worker:
    """One model in one process of the cluster."""

    def __init__(self, model: str | None, threads: int, search: DecodeOptions | None) -> None:
        from asr.transcription.recognizer import load_model

        self._recognizer = load_model(model, device="cpu", threads=threads, precision="float32", search=search)

    def transcribe(self, requests: list[Request], words: bool) -> list[Transcript | Failure]:
        """The outcome of each request, in order."""
        return list(self._recognizer.transcribe_many(requests, words=words))


def _spread(
    ray: Any, workers: Sequence[Any], chunks: Sequence[list[Request]], words: bool
) -> Iterator[Transcript | Failure]:
    """Outcomes in the order of the chunks."""
    waiting, idle = deque(range(len(chunks))), list(workers)
    busy: dict[Any, tuple[int, Any]] = {}
    done: dict[int, list[Transcript | Failure]] = {}
    for turn in range(len(chunks)):
        while turn not in done:
            while idle and waiting:
                number, worker = waiting.popleft(), idle.pop()
                busy[worker.transcribe.remote(chunks[number], words)] = number, worker
            (ready, *_), _ = ray.wait(list(busy), num_returns=1)
            number, worker = busy.pop(ready)
            try:
                done[number] = ray.get(ready)
            except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError):
                done[number] = [
                    Failure(request.name, AsrError(f"{request.name}: the worker was lost {_ATTEMPTS} times"))
                    for request in chunks[number]
                ]
            idle.append(worker)
        yield from done.pop(turn)
