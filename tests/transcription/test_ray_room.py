"""What is known of a Ray cluster before any work is spread over it; Ray itself is not needed for that."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.errors import UsageError
from asr.transcription.ray_engine import transcribe_with_ray


def test_workers_that_no_cluster_has_room_for_are_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"is_initialized": lambda: True, "cluster_resources": lambda: {"CPU": 2.0}}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__spec__=ModuleSpec("ray", None), **cluster))
    with pytest.raises(UsageError, match="a worker of 3 threads has no place on a cluster of 2 processors"):
        next(transcribe_with_ray([], tiny_model, threads=3))
