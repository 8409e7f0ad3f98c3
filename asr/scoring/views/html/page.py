"""The page put together: sections, data, style and script in one file; recordings are linked from it or held in it."""

from __future__ import annotations

import base64
import io
import os
import string
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asr.errors import AudioError
from asr.html import as_script_data, fill, policy_hash, read_page
from asr.scoring.report import Report
from asr.scoring.result import ScoredUtterance
from asr.scoring.views.html import sections

DRAWN = 300


def render_html(report: Report, folder: Path, embed: bool = False) -> str:
    """The whole page, to be written into `folder`; audio is linked relative to that, or embedded.

    Only the page's own script and style may run (by their hash), and nothing may be fetched but recordings, so that
    a hostile hypothesis has no way to act even if it slipped through the escaping.
    """
    parts = [
        sections.headline(report),
        sections.verdict(report),
        sections.breakdowns(report),
        sections.words(report),
        sections.utterances(report),
        sections.footer(report),
    ]
    title = f"{report.name}: WER {report.score.wer * 100:.2f} %"
    return assemble(title, parts, as_script_data(_data(report, folder, embed)))


def assemble(title: str, parts: Sequence[str], data: str = "") -> str:
    """A page of `parts`; the script, which fills the list of utterances, is only in one with `data`."""
    css, js = read_page("base.css") + _read("page.css"), _read("page.js") if data else ""
    policy = (
        f"default-src 'none'; script-src '{policy_hash(js)}'; style-src '{policy_hash(css)}'; img-src data:; "
        "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )
    values = {
        "title": escape(title),
        "policy": policy,
        "css": css,
        "js": js,
        "body": "\n".join(parts),
        "data": data or "null",
    }
    return fill(_read("page.html"), values)


def _data(report: Report, folder: Path, embed: bool) -> dict[str, Any]:
    rows: list[list[Any]] = []
    embedded: dict[str, str] = {}
    baseline = report.comparison.first.utterances if report.comparison else None
    drawn = _drawn(report)
    for index, utterance in enumerate(report.score.utterances):
        path = find_audio(utterance)
        link = None
        if path is not None and embed:
            embedded[utterance.id] = embed_audio(utterance, path)
        elif path is not None:
            link = link_audio(utterance, path, folder)
        row = [
            utterance.id,
            utterance.speaker,
            utterance.reference,
            utterance.hypothesis,
            utterance.operations,
            utterance.number("duration"),
            link,
            _rounded(utterance.times),
            # Where in what is played the utterance begins: an embedded part is cut out of its recording.
            0.0 if path is None or embed else utterance.number("offset") or 0.0,
            draw_waveform(utterance, path) if path is not None and utterance.id in drawn else None,
        ]
        if baseline is not None:
            row += [baseline[index].hypothesis, baseline[index].operations, _rounded(baseline[index].times)]
        rows.append(row)
    return {"system": report.name, "baseline": report.baseline, "utterances": rows, "embedded": embedded}


def _drawn(report: Report) -> set[str]:
    """The utterances whose waveform is in the page: reading all of a large corpus would take minutes."""
    ranked = sorted(report.score.utterances, key=lambda utterance: -utterance.words.errors)
    return {utterance.id for utterance in ranked[:DRAWN]}


def _rounded(times: Sequence[tuple[float, float]]) -> list[float] | None:
    """Starts and ends in turn, to the hundredth of a second."""
    return [round(bound, 2) for bounds in times for bound in bounds] or None


def _read(name: str) -> str:
    return read_page(name, "asr.scoring.views.html")


COLUMNS = 240  # of a drawn waveform
_LONGEST = 48_000 * 600  # samples read of one utterance
_LEVELS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}


def find_audio(utterance: ScoredUtterance) -> Path | None:
    """The recording on disk, if the manifest names one and it is there."""
    name = utterance.fields.get("audio_filepath")
    path = Path(name) if isinstance(name, str) else None
    return path if path is not None and path.is_file() else None


def link_audio(utterance: ScoredUtterance, path: Path, folder: Path) -> str:
    """A link to `path` relative to the page's `folder`; a part of a longer recording carries its times."""
    try:
        link = quote(Path(os.path.relpath(path, folder.resolve())).as_posix())
    except ValueError:  # another drive
        link = path.resolve().as_uri()
    start, end = _part(utterance)
    return f"{link}#t={start:g},{end:g}" if start else link


def embed_audio(utterance: ScoredUtterance, path: Path) -> str:
    """The recording as a `data:` address; of a longer recording only the utterance, as FLAC.

    Raises `AudioError` when the part cannot be read.
    """
    start, end = _part(utterance)
    kind = _TYPES.get(path.suffix.lower())
    if start or kind is None:
        kind, data = "audio/flac", _cut(path, start, end)
    else:
        data = path.read_bytes()
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def draw_waveform(utterance: ScoredUtterance, path: Path) -> tuple[str, float] | None:
    """The loudest sample in each of `COLUMNS` stretches of an utterance, a letter each, and its length in seconds.

    None if it cannot be read. The letters count from 0 to 63 in the alphabet of base64, of the loudest sample.
    """
    import numpy as np
    import soundfile

    start, end = _part(utterance)
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(round(start * rate))
            frames = round((end - start) * rate) if end > start else -1
            samples = np.abs(file.read(min(frames, _LONGEST) if frames > 0 else _LONGEST, always_2d=True)).max(axis=1)
    except (OSError, RuntimeError, ValueError):
        return None
    if not len(samples):
        return None
    peaks = np.array([part.max(initial=0.0) for part in np.array_split(samples, COLUMNS)])
    levels = np.round(63 * peaks / max(float(peaks.max()), 1e-9)).astype(int)
    return "".join(_LEVELS[level] for level in levels), round(len(samples) / rate, 3)


def _part(utterance: ScoredUtterance) -> tuple[float, float]:
    start = utterance.number("offset") or 0.0
    return start, start + (utterance.number("duration") or 0.0)


def _cut(path: Path, start: float, end: float) -> bytes:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            file.seek(round(start * file.samplerate))
            frames = round((end - start) * file.samplerate) if end > start else -1
            samples, rate = file.read(frames), file.samplerate
        memory = io.BytesIO()
        soundfile.write(memory, samples, rate, format="FLAC")
        return memory.getvalue()
    except (OSError, RuntimeError) as error:
        raise AudioError(f"{path} cannot be embedded: {error}", "Link the audio instead (no --embed-audio).") from error
