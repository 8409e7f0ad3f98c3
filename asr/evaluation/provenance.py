"""Fingerprints: short names of a model's or a manifest's exact content, so that a number can be traced to both."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from asr.corpus.manifest import Utterance
from asr.io import fingerprint_files


def describe_model(folder: Path) -> dict[str, Any]:
    """The model's folder and the fingerprint of every file in it but the card."""
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".md" and path.name[0] != "."]
    return {"folder": str(folder), "fingerprint": fingerprint_files(*files)}


def describe_data(manifest: Path, utterances: list[Utterance]) -> dict[str, Any]:
    """The manifest, its fingerprint, and how much speech it names."""
    return {
        "manifest": str(manifest),
        "fingerprint": fingerprint_files(manifest),
        "utterances": len(utterances),
        "hours": round(sum(utterance.duration for utterance in utterances) / 3600, 3),
    }


def describe_machine(device: str, threads: int) -> dict[str, Any]:
    """What the decoding ran on."""
    from importlib.metadata import version

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "processors": os.cpu_count() or 1,
        "threads": threads,
        "device": device,
    }


def peak_memory_megabytes() -> float | None:
    """The most memory that this process has held, in MB (10⁶ bytes); None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
