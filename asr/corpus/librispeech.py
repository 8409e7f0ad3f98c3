"""LibriSpeech and mini LibriSpeech (OpenSLR 12 and 31): read English books, CC BY 4.0.

Panayotov, Chen, Povey, Khudanpur: "LibriSpeech: an ASR corpus based on public domain audio books", ICASSP 2015.
Layout: `<part>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac` beside one `<speaker>-<chapter>.trans.txt`
(`id TRANSCRIPT` a line); any audio extension will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.audio import is_audio
from asr.corpus.download import Archive, Report, download, silent
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.prepare import Preparation, Size, Track, alternate, numbered_lines, prepare, save
from asr.errors import DataError, UsageError
from asr.text.normalize import librispeech

# Utterances and words as published; where no word count is known to us, none is checked. Then the number of the corpus
# at OpenSLR, and the MD5 sum published there (resources/12/md5sum.txt and resources/31/md5sum.txt).
PARTS = {
    "dev-clean": (Size(2_703, 54_402), 12, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": (Size(2_864, 50_948), 12, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": (Size(2_620, 52_576), 12, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": (Size(2_939, 52_343), 12, "fb5a50374b501bb3bac4815ee91d3135"),
    "train-clean-100": (Size(28_539), 12, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": (Size(104_014), 12, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": (Size(148_688), 12, "d1a0fd59409feb2c614ce4d30c387708"),
    "train-clean-5": (Size(1_519), 31, "5df7d4e78065366204ca6845bb08f490"),
    "dev-clean-2": (Size(1_089, 20_138), 31, "6d7ab67ac6a1d2c993d050e16d61080d"),
}
MIRROR = "https://www.openslr.org/resources"
# Divided by speaker into a half to tune on and a half to report, when complete.
HALVED = "dev-clean-2"


def download_librispeech(
    root: Path, parts: Sequence[str], *, mirror: str = MIRROR, report: Report = silent
) -> list[Path]:
    """Fetch, check and unpack parts into `<root>/LibriSpeech` unless they are there; see `asr.corpus.download`.

    `mirror` is the address above `12/` and `31/`. Raises `UsageError` for an unknown part or none at all.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise UsageError(
            f"unknown part {unknown[0]!r}" if unknown else "--download needs to know which parts",
            f"Name them with --part; there are {', '.join(PARTS)}.",
        )
    root = root.parent if root.name == "LibriSpeech" else root
    folders = []
    for part in parts:
        _, number, md5 = PARTS[part]
        archive = Archive(f"{mirror.rstrip('/')}/{number}/{part}.tar.gz", f"md5:{md5}", f"LibriSpeech/{part}")
        folders.append(download(archive, root, report))
    return folders


def prepare_librispeech(
    root: Path, parts: Sequence[str], out_dir: Path, *, track: Track | None = None
) -> Iterator[Preparation]:
    """Write `<out_dir>/<part>.jsonl` for each part (all that are found, when `parts` is empty), one after another.

    `root` is the folder that holds the parts, or its parent. Speaker, chapter, gender (from SPEAKERS.TXT) and level
    go into the manifest. A complete dev-clean-2 also gives `dev-clean-2-tune` and `dev-clean-2-report`. Raises
    `DataError` when a part is not there.
    """
    inner = root / "LibriSpeech"  # what the archives unpack to
    root = inner if inner.is_dir() else root
    found = sorted({path.parents[2].name for path in root.glob("*/*/*/*.trans.txt")})
    folders = {part: root / part for part in parts or found}
    for part, folder in folders.items():
        if not folder.is_dir():
            raise DataError(f"{folder} does not exist", f"Name another --root, or fetch it: --part {part} --download.")
    if not folders:
        raise DataError(f"no part of LibriSpeech in {root}", "Name the folder that holds dev-clean and the like.")
    genders = _read_genders(root / "SPEAKERS.TXT")
    for part, folder in folders.items():
        problems: list[str] = []
        chapters = sorted(folder.glob("*/*/*.trans.txt"))
        drafts = [draft for chapter in chapters for draft in _read_chapter(chapter, genders, problems)]
        official = PARTS[part][0] if part in PARTS else None
        done = prepare(part, drafts, out_dir, librispeech, official=official, problems=problems, track=track)
        yield done
        if part == HALVED and done.completeness == "complete":
            yield from _halves(done, out_dir)


def _halves(whole: Preparation, out_dir: Path) -> Iterator[Preparation]:
    """The half of the speakers that tuning may see, and the half that is reported (`recipes/librispeech/splits`)."""
    utterances = read_manifest(whole.manifest)
    halves = alternate(utterance.speaker or "" for utterance in utterances)
    for name, speakers in zip(("tune", "report"), halves, strict=True):
        chosen = [utterance for utterance in utterances if utterance.speaker in speakers]
        yield save(f"{whole.name}-{name}", chosen, out_dir)


def _read_chapter(transcripts: Path, genders: dict[str, str], problems: list[str]) -> Iterator[Utterance]:
    recordings = {path.stem: path for path in sorted(transcripts.parent.iterdir()) if is_audio(path)}
    try:
        lines = list(numbered_lines(transcripts))
    except DataError as error:
        problems.append(error.message)
        return
    for _, line in lines:
        identity, _, text = line.strip().partition(" ")
        audio = recordings.pop(identity, None)
        if audio is None:
            problems.append(f"{identity}: no recording beside {transcripts}")
            continue
        speaker, chapter, *_ = [*identity.split("-"), ""]
        extra = {"chapter": chapter}
        if speaker in genders:
            extra["gender"] = genders[speaker]
        yield Utterance(identity, audio, 0.0, text, speaker, extra=extra)
    problems += [f"{identity}: {path} has no transcript" for identity, path in recordings.items()]


def _read_genders(path: Path) -> dict[str, str]:
    """`14 | F | train-clean-360 | 25.03 | Name` → {"14": "F"}; without the file, nothing."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = ([field.strip() for field in line.split("|")] for line in lines if not line.startswith(";"))
    return {row[0]: row[1] for row in rows if len(row) > 1 and row[1] in ("F", "M")}
