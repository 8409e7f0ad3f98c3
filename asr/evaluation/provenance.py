"""Provenance: fingerprints, short names of exact content, by which a number can be traced to model, data and search."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.corpus.manifest import Utterance
from asr.evaluation.decode import PART
from asr.io import fingerprint_files, fingerprint_text
from asr.model.folder import ModelFolder


def describe_files(folder: Path) -> dict[str, Any]:
    """The model's folder and the fingerprint of every file in it, and in the folders within, but the card."""
    return {"folder": str(folder), "fingerprint": fingerprint_files(*ModelFolder(folder).files(), root=folder)}


def describe_data(manifest: Path, utterances: list[Utterance]) -> dict[str, Any]:
    """The manifest, its fingerprint, and how much speech it names."""
    return {
        "manifest": str(manifest),
        "fingerprint": fingerprint_files(manifest),
        "utterances": len(utterances),
        "hours": round(sum(utterance.duration for utterance in utterances) / 3600, 3),
    }


def describe_decoding(decoding: Mapping[str, Any]) -> dict[str, Any]:
    """The search as `describe_search` gives it, with the fingerprints of its language models."""
    search = dict(decoding)
    if search.get("language_model"):
        search["language_model_fingerprint"] = fingerprint_files(Path(search["language_model"]))
    if search.get("rescore", "none") != "none":
        search["rescore_fingerprint"] = describe_files(Path(search["rescore"]))["fingerprint"]
    return search


def provenance(model: Path, manifest: Path, decoding: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a report: fingerprints of model and manifest, and the search."""
    return {
        "model": describe_files(model)["fingerprint"],
        "data": fingerprint_files(manifest),
        "decoding": describe_decoding(decoding),
    }


def report_made_by(folder: Path) -> dict[str, Any] | None:
    """The provenance of the report, or of the unfinished decoding, in `folder`; None where there is neither."""
    try:
        settings = json.loads((folder / "report.json").read_text(encoding="utf-8"))["settings"]
        return {
            "model": settings["model"]["fingerprint"],
            "data": settings["data"]["fingerprint"],
            "decoding": settings["decoding"],
        }
    except OSError:
        pass
    except (ValueError, KeyError, TypeError):
        return {}
    try:
        with (folder / PART).open(encoding="utf-8") as file:
            header: dict[str, Any] = json.loads(file.readline())
            return header
    except OSError:
        return None
    except ValueError:
        return {}


def digest(made_by: Mapping[str, Any]) -> str:
    """A short name of a provenance."""
    return fingerprint_text(json.dumps(made_by, sort_keys=True))[:6]


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
