"""`asr evaluate`: decode a manifest, score it, and leave a folder that says everything about the number.

| file               | what it holds                                                                        |
|--------------------|--------------------------------------------------------------------------------------|
| `hypotheses.trn`   | one text a line with its id                                                          |
| `hypotheses.jsonl` | id, reference (`text`), hypothesis (`pred_text`), duration, speaker                  |
| `report.json`      | the score (docs/scoring.md), with `settings`: model, data, decoding, machine, speed  |
| `report.html`      | the same to look at                                                                  |

Fingerprints, short names of exact content, trace the number to model, data and search.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.corpus.manifest import Utterance, read_manifest
from asr.errors import DataError
from asr.evaluation.decode import PART, Decoding, decode_manifest
from asr.io import fingerprint_files, fingerprint_text, write_text
from asr.model.folder import ModelFolder
from asr.nn.machine import processors
from asr.scoring.report import Report, build_report
from asr.scoring.result import compose, normalize_texts, score
from asr.scoring.views import write_report
from asr.transcription.recognizer import Recognizer


@dataclass(frozen=True)
class Evaluation:
    """The report of one manifest, and the decoding behind it."""

    report: Report
    decoding: Decoding


def evaluate(
    recognizer: Recognizer,
    manifest: Path,
    folder: Path,
    *,
    decoding: Mapping[str, Any] | None = None,
    normalizer: str = "none",
    embed_audio: bool = False,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Evaluation:
    """Evaluate `recognizer` on `manifest` and write `folder`.

    `decoding` describes the recognizer's search in the report (see `describe_search`); where it says `adapted`, the
    recognizer gets used to each speaker first (see `asr.transcription.adaptation`). An utterance that cannot be read
    counts as deleted, every word of it, and is listed. Called again after an interruption, it goes on where it was.
    Raises `DataError` for a manifest without texts, or without speakers to adapt to, and what decoding raises.
    """
    utterances = read_manifest(manifest)
    if not any(utterance.text for utterance in utterances):
        raise DataError(f"{manifest} holds no texts to score against")
    adapt = bool(decoding and decoding.get("adapted"))
    if adapt and not any(utterance.speaker for utterance in utterances):
        raise DataError(f"{manifest} names no speaker to adapt to", "`asr prepare folder` has --speaker for that.")
    # An unknown normalizer, or one that refuses a text, shall not wait until all is decoded.
    references, ids = [utterance.text for utterance in utterances], [utterance.id for utterance in utterances]
    normalize_texts(compose(normalizer), references, ids, "reference")
    settings: dict[str, Any] = {
        "model": describe_files(recognizer.model.path),
        "data": {
            "manifest": str(manifest),
            "fingerprint": fingerprint_files(manifest),
            "utterances": len(utterances),
            "hours": round(sum(utterance.duration for utterance in utterances) / 3600, 3),
        },
        "decoding": describe_decoding(decoding or {"search": "greedy"}),
    }
    # What was interrupted does not go on in another machine's arithmetic, which may write other texts.
    made_by = {"provenance": _provenance_in(settings), "precision": recognizer.precision}
    decoded = decode_manifest(recognizer, utterances, folder, made_by, on_progress, adapt)
    settings |= {
        "machine": describe_machine(recognizer),
        "real_time_factor": decoded.real_time_factor,
        "peak_memory_mb": peak_memory_megabytes(),
        "unreadable": decoded.failures,
    }
    texts = [decoded.texts[each.id].text if each.id in decoded.texts else "" for each in utterances]
    result = score(
        references,
        texts,
        normalizer=normalizer,
        ids=ids,
        speakers=[utterance.speaker for utterance in utterances],
        fields=[
            each.extra | {"audio_filepath": str(each.audio), "duration": each.duration, "offset": each.offset}
            for each in utterances
        ],
    )
    inputs = {"reference": str(manifest), "missing_policy": "delete", "missing": sorted(decoded.failures)}
    name = f"{model_name(recognizer.model.path.resolve())} on {manifest.stem}"
    report = build_report(result, name=name, inputs=inputs, settings=settings)
    _write_hypotheses(folder, utterances, texts)
    write_report(report, folder / "report.json")
    write_report(report, folder / "report.html", embed_audio=embed_audio)
    with suppress(OSError):
        (folder / PART).unlink()
    return Evaluation(report, decoded)


def default_folder(model: Path | str, manifest: Path, decoding: Mapping[str, Any]) -> Path:
    """`reports/<model>-<manifest>-<search>`; where another model, manifest or search left a report of that name, the
    fingerprint of these three comes behind it.
    """
    folder = Path("reports") / f"{model_name(Path(model))}-{manifest.stem}-{search_name(decoding)}"
    made_by = provenance(Path(model), manifest, decoding)
    if report_made_by(folder) in (None, made_by):
        return folder
    return folder.with_name(f"{folder.name}-{fingerprint_text(json.dumps(made_by, sort_keys=True))[:6]}")


def model_name(folder: Path) -> str:
    """The folder's name; `exp/gru5h/best` is `gru5h-best`, because every experiment has a best."""
    is_everywhere = folder.name in ("best", "last", "average", "model")
    return f"{folder.parent.name}-{folder.name}" if is_everywhere else folder.name


def search_name(decoding: Mapping[str, Any]) -> str:
    """`greedy`, or the beam with what distinguishes it: `beam300-no-lm`, `beam400-2-views-no-rescoring-adapted`."""
    if decoding["search"] == "greedy":
        name = "greedy"
    else:
        views = decoding.get("views", 1)
        name = f"beam{decoding['beam_size']}" + (f"-{views}-views" if views > 1 else "")
        name += "-no-lm" if decoding.get("language_model") is None else ""
        name += "-no-rescoring" if decoding.get("rescore") == "none" else ""
    return f"{name}-adapted" if decoding.get("adapted") else name


def _write_hypotheses(folder: Path, utterances: list[Utterance], texts: list[str]) -> None:
    trn, rows = [], []
    for each, text in zip(utterances, texts, strict=True):
        trn.append(f"{text} ({each.id})\n")
        row = {"id": each.id, "text": each.text, "pred_text": text, "duration": each.duration}
        row |= {"speaker": each.speaker} if each.speaker is not None else {}
        rows.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(folder / "hypotheses.trn", "".join(trn))
    write_text(folder / "hypotheses.jsonl", "".join(rows))


def describe_files(folder: Path) -> dict[str, Any]:
    """The model's folder and the fingerprint of every file in it, and in the folders within, but the card."""
    return {"folder": str(folder), "fingerprint": fingerprint_files(*ModelFolder(folder).files(), root=folder)}


def describe_decoding(decoding: Mapping[str, Any]) -> dict[str, Any]:
    """The search as `describe_search` gives it, with the fingerprints of its language models and lists of hotwords."""
    search = dict(decoding)
    if lists := [Path(item[1:]) for item in search.get("hotwords", ()) if item.startswith("@")]:
        search["hotwords_fingerprint"] = fingerprint_files(*lists)
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


def _provenance_in(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same of the settings in a report."""
    data = {name: settings[name]["fingerprint"] for name in ("model", "data")}
    return data | {"decoding": settings["decoding"]}


def report_made_by(folder: Path) -> dict[str, Any] | None:
    """The provenance of the report, or of the unfinished decoding, in `folder`; None where there is neither."""
    try:
        if (folder / "report.json").exists():
            return _provenance_in(json.loads((folder / "report.json").read_text(encoding="utf-8"))["settings"])
        with (folder / PART).open(encoding="utf-8") as file:
            return dict(json.loads(file.readline())["provenance"])
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return {}


def describe_machine(recognizer: Recognizer) -> dict[str, Any]:
    """What the decoding ran on."""
    from importlib.metadata import version

    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "processors": processors(),
        "threads": torch.get_num_threads(),
        "device": str(recognizer.device),
        "precision": recognizer.precision,
    }


def peak_memory_megabytes() -> float | None:
    """The most memory that this process has held, in MB (10⁶ bytes); None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
