"""Controlled comparisons: the same short training again and again, one thing changed each time.

compare.py COMPARISONS.yaml [NAME...]      train and evaluate these (default: all), then print the table

What was trained and evaluated before is kept, and what was interrupted goes on; delete its folder to do it again. The
language model is the bundled one with the same weight for all, so that nothing but the acoustics differs.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open

from asr.cli.main import plain_errors
from asr.config import read_yaml, validate
from asr.corpus.manifest import read_manifest
from asr.errors import UsageError
from asr.scoring.bootstrap import difference_interval
from asr.scoring.readers import read_transcripts
from asr.scoring.result import Score, score

HEAD = (
    "| name | what | parameters | hours heard | WER % | against the first | CER % | WER % with LM | settings |",
    "|---|---|---:|---:|---:|---|---:|---:|---|",
)
SEARCHES = {
    "greedy": ["--greedy"],
    "lm": ["--lm", "asr/pretrained/lm.ngram", "--lm-weight", "0.6", "--word-bonus", "2"],
}


@dataclass(frozen=True)
class Variant:
    """One thing changed: `settings` as `asr train` takes them."""

    what: str
    settings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Comparisons:
    """Where to begin, what to change, and on what to evaluate."""

    conf: Path
    output: Path
    evaluate: Path
    baseline: str
    comparisons: dict[str, Variant]


def read_comparisons(path: Path) -> Comparisons:
    """Raises `UsageError` for a file that is not one of comparisons."""
    return validate(Comparisons, read_yaml(path), str(path))


def run(plan: Comparisons, name: str) -> None:
    """Train a variant and evaluate it, if that has not been done."""
    if is_done(plan, name):
        return
    folder = plan.output / name
    settings = [*plan.comparisons[name].settings, f"output={folder}"]
    asr("train", plan.conf, *settings, *(["--resume"] if (folder / "last.pt").exists() else []))
    for search, options in SEARCHES.items():
        asr("evaluate", folder / "best", plan.evaluate, *options, "-o", folder / search)


def table(plan: Comparisons, before: str = "") -> str:
    """A row for each variant that has been evaluated here, or in a table made `before`."""
    kept = {line.split("|")[1].strip(): line for line in before.splitlines() if line.startswith("|")}
    rows = [row(plan, name) if is_done(plan, name) else kept.get(name) for name in plan.comparisons]
    return "\n".join([*HEAD, *filter(None, rows)]) + "\n"


def is_done(plan: Comparisons, name: str) -> bool:
    """Whether a variant has been trained and evaluated."""
    return all((plan.output / name / search / "report.json").exists() for search in SEARCHES)


def row(plan: Comparisons, name: str) -> str:
    """Size, hours and errors of a variant, with the paired difference in WER to the first."""
    folder = plan.output / name
    greedy, fused = (read_json(folder / search / "report.json") for search in SEARCHES)
    variant = plan.comparisons[name]
    cells = [
        name,
        variant.what,
        f"{parameters(folder / 'best' / 'model.safetensors') / 1e6:.2f} M",
        f"{hours(folder / 'metrics.jsonl'):.0f}",
        f"{100 * greedy['wer']:.1f}",
        "" if name == plan.baseline else difference(plan, name),
        f"{100 * greedy['cer']:.1f}",
        f"{100 * fused['wer']:.1f}",
        " ".join(f"`{setting}`" for setting in variant.settings),
    ]
    return f"| {' | '.join(cells)} |"


def difference(plan: Comparisons, name: str) -> str:
    """WER of the variant less that of the baseline in points, with the 95 % interval over utterances."""
    before, after = (scored(plan, one) for one in (plan.baseline, name))
    interval = difference_interval(before, after)
    assert interval is not None  # every utterance is a unit
    return f"{100 * (after.wer - before.wer):+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def scored(plan: Comparisons, name: str) -> Score:
    """The greedy texts of a variant against what was said."""
    said = {one.id: one.text for one in read_manifest(plan.evaluate)}
    heard = read_transcripts(plan.output / name / "greedy" / "hypotheses.trn", "hypothesis").texts
    return score(said.values(), [heard[one] for one in said], ids=said)


def parameters(weights: Path) -> int:
    """How many numbers are in a file of weights."""
    with safe_open(weights, framework="numpy") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118, no mapping


def hours(metrics: Path) -> float:
    """How much speech was heard in training; two views of an utterance are heard once."""
    last = metrics.read_text(encoding="utf-8").splitlines()[-1]
    heard: float = json.loads(last)["audio_hours"]
    return heard


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def asr(*arguments: object) -> None:
    """Run a command of `asr` with this Python; its failure, of which it has told, ends the comparison."""
    if code := subprocess.run([sys.executable, "-m", "asr.cli.main", *map(str, arguments)]).returncode:
        raise SystemExit(code)


if __name__ == "__main__":
    with plain_errors():
        chosen = read_comparisons(Path(sys.argv[1]))
        names = sys.argv[2:] or list(chosen.comparisons)
        if unknown := [name for name in names if name not in chosen.comparisons]:
            raise UsageError(f"there is no comparison {unknown[0]}", f"There are {', '.join(chosen.comparisons)}.")
        for one in names:
            run(chosen, one)
        print(table(chosen), end="")
