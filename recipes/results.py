"""Tables of results from the `report.json` files of `asr evaluate`.

results.py REPORT.json...      print one table
results.py RESULTS.md...       renew the tables in these pages, each between two comments, the first with patterns:

    <!-- table: exp/librispeech-mini/reports/*/report.json -->
    <!-- end -->
    <!-- comparisons: recipes/librispeech/comparisons.yaml -->
    <!-- end -->

A table whose reports are not at hand is left as it is, and so is the row of a comparison that was made elsewhere.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import compare

from asr.cli.main import plain_errors
from asr.io import write_text
from asr.model.folder import ModelFolder
from asr.transcription.decoder import FAST_BEAM, read_settings

HEAD = (
    "| manifest | search | utterances | words | WER % | 95 % | CER % | × real time | command |",
    "|---|---|---:|---:|---:|---|---:|---:|---|",
)
BLOCK = re.compile(r"(<!-- (table|comparisons): (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(reports: list[Path]) -> str:
    """One row a report."""
    rows = [row(json.loads(path.read_text(encoding="utf-8"))) for path in reports]
    return "\n".join([*HEAD, *rows]) + "\n"


def row(report: dict[str, Any]) -> str:
    """The score with its interval, and how to get it again."""
    settings = report["settings"]
    factor = settings["real_time_factor"]
    cells = [
        Path(settings["data"]["manifest"]).stem,
        search(settings["decoding"]),
        f"{report['utterance_count']:,}",
        f"{report['words']['reference']:,}",
        f"{100 * report['wer']:.2f}",
        interval(report["interval"]),
        f"{100 * report['cer']:.2f}",
        f"{1 / factor:.0f}" if factor else "",
        f"`{command(settings)}`",
    ]
    return f"| {' | '.join(cells)} |"


def interval(intervals: dict[str, Any]) -> str:
    """The 95 % interval that the report itself trusts: over speakers, who differ more than sentences do, else over
    utterances, which is said; nothing where neither is to be trusted.
    """
    for unit in ("speakers", "utterances"):
        chosen = intervals.get(unit)
        if chosen and chosen["trusted"]:
            return f"{100 * chosen['low']:.1f}–{100 * chosen['high']:.1f} ({unit})"
    return "–"


def search(decoding: dict[str, Any]) -> str:
    """`greedy`, or the beam with its language models and weights, and whether the network was adapted."""
    adapted = ", adapted" if decoding.get("adapted") else ""
    if decoding["search"] == "greedy":
        return f"greedy{adapted}"
    model = decoding["language_model"]
    fusion = f", {Path(model).name} × {decoding['lm_weight']:g}, bonus {decoding['word_score']:g}" if model else ""
    if decoding.get("prior_weight"):
        fusion += f", prior × {decoding['prior_weight']:g}"
    if decoding.get("rescore", "none") != "none":
        fusion += f", rescored × {decoding['rescore_weight']:g}, bonus {decoding['rescore_word_score']:g}"
    views = f" in {decoding['views']} views" if decoding.get("views", 1) > 1 else ""
    return f"beam {decoding['beam_size']}{views}{fusion}{adapted}"


def command(settings: dict[str, Any]) -> str:
    """What gives the number again; the model's own language models and the weights tuned for it are in its folder."""
    decoding, model = settings["decoding"], settings["model"]["folder"]
    ngram = decoding.get("language_model") or "none"
    language = "" if is_own(ngram, model) else f" --lm {brief(ngram)}"
    if "rescore" in decoding and not is_own(decoding["rescore"], model):
        language += f" --rescore {brief(decoding['rescore'])}"
    if decoding["search"] == "greedy":
        options = " --greedy"
    elif decoding["beam_size"] == FAST_BEAM and decoding.get("rescore") == "none":
        options = " --fast"
    else:
        options = wider(decoding, model) + language
    options += " --adapt" if decoding.get("adapted") else ""
    return f"asr evaluate {brief(model)} {brief(settings['data']['manifest'])}{options}"


def wider(decoding: dict[str, Any], model: str) -> str:
    """The options of a search that is not as wide as the settings in the model's folder, where there are any, say."""
    if not ModelFolder(Path(model)).decoding.is_file():
        return ""
    own, options = read_settings(Path(model)), {"views": "--views", "beam_size": "--beam"}
    asked = {option: decoding[key] for key, option in options.items() if decoding.get(key, 1) != getattr(own, key)}
    return "".join(f" {option} {value}" for option, value in asked.items())


def is_own(path: str, model: str) -> bool:
    """Whether a language model lies in the model's folder, and so is used unless another is named."""
    return Path(path).resolve().parent == Path(model).resolve()


def brief(path: str) -> str:
    """A path as seen from here, through links; of one elsewhere the name, its folders mean nothing to anybody else."""
    try:
        return str(Path(path).absolute().relative_to(Path.cwd()))
    except ValueError:
        return Path(path).name


def renewed(page: str) -> str:
    """The page with every table made anew whose reports are here."""

    def renew(block: re.Match[str]) -> str:
        before = block[4]
        after = compared(Path(block[3]), before) if block[2] == "comparisons" else reported(block[3].split()) or before
        return f"{block[1]}{after}{block[5]}"

    return BLOCK.sub(renew, page)


def reported(patterns: list[str]) -> str:
    """The table of the reports that the patterns name; nothing where there is none."""
    reports = [path for pattern in patterns for path in sorted(Path().glob(pattern))]
    return table(reports) if reports else ""


def compared(plan: Path, before: str) -> str:
    """The table of the comparisons in a file; as it was before where not even the first has been made here."""
    comparisons = compare.read_comparisons(plan)
    return compare.table(comparisons, before) if compare.is_done(comparisons, comparisons.baseline) else before


if __name__ == "__main__":
    with plain_errors():
        paths = [Path(name) for name in sys.argv[1:]]
        if missing := [path for path in paths if not path.exists()]:
            raise SystemExit(f"asr: {missing[0]} does not exist: there is nothing to report yet")
        pages = [path for path in paths if path.suffix == ".md"]
        for path in pages:
            write_text(path, renewed(path.read_text(encoding="utf-8")))
        if not pages:
            print(table(paths), end="")
