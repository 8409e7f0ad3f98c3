"""LJSpeech 1.1: one voice reading non-fiction, 13,100 clips, public domain (Keith Ito and Linda Johnson, 2017).

Layout: `wavs/LJ001-0001.wav` …; any audio extension will do; `metadata.csv` has `id|text|normalized text` a line,
without quoting. The normalized column spells numbers out; the `ljspeech` normalizer does the rest.

LJSpeech has no standard division for recognition, so two are fixed here and written beside the whole manifest:

    ljspeech-random-{train,dev,test}     clips drawn at random: the easier figure, since a chapter is on both sides
    ljspeech-chapters-{train,dev,test}   whole chapters held out for the test: the figure for text not heard before

Each clip's side follows from its id alone (`asr.corpus.prepare.share`), so a part is divided as the whole is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr.audio import is_audio
from asr.corpus.download import Archive, Report, download, silent
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.prepare import Preparation, Size, Track, numbered_lines, prepare, save, share
from asr.errors import DataError
from asr.text.normalize import ljspeech

SIZE = Size(13_100)
ARCHIVE = Archive(
    url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    checksum="sha256:be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    contents="LJSpeech-1.1",
)

_TEST, _DEV = 0.10, 0.15  # shares below the first are test, below the second dev, the others train
_CLIP_SEED = 0
# The first seed that holds out 5 of the 50 chapters, LJ002 among them and LJ001 not, so that the opening of the
# corpus, which is what people try first, has both sides: LJ002, LJ021, LJ041, LJ045 and LJ048.
_CHAPTER_SEED = 42


def download_ljspeech(root: Path, *, archive: Archive = ARCHIVE, report: Report = silent) -> Path:
    """Fetch, check and unpack LJSpeech into `<root>/LJSpeech-1.1` unless it is there; see `asr.corpus.download`."""
    return download(archive, root, report)


def prepare_ljspeech(root: Path, out_dir: Path, *, track: Track | None = None) -> Iterator[Preparation]:
    """Write `<out_dir>/ljspeech.jsonl` and its two divisions; `root` is LJSpeech-1.1 or its parent.

    Raises `DataError` when `metadata.csv` is not there. Sides that a part of the corpus leaves empty are not written.
    """
    inner = root / "LJSpeech-1.1"
    root = inner if inner.is_dir() else root
    problems: list[str] = []
    whole = prepare(
        "ljspeech", list(_read(root, problems)), out_dir, ljspeech, official=SIZE, problems=problems, track=track
    )
    yield whole
    utterances = read_manifest(whole.manifest)
    for division, side in (("random", random_side), ("chapters", chapter_side)):
        for name in ("train", "dev", "test"):
            chosen = [utterance for utterance in utterances if side(utterance.id) == name]
            if chosen:
                yield save(f"ljspeech-{division}-{name}", chosen, out_dir)


def random_side(identity: str) -> str:
    """`train`, `dev` or `test` in the division by clips."""
    drawn = share(identity, _CLIP_SEED)
    return "test" if drawn < _TEST else "dev" if drawn < _DEV else "train"


def chapter_side(identity: str) -> str:
    """`train`, `dev` or `test` in the division by chapters; dev clips come from the chapters that train."""
    if is_held_out(_chapter(identity)):
        return "test"
    return "dev" if random_side(identity) == "dev" else "train"


def is_held_out(chapter: str) -> bool:
    """Whether a chapter (`LJ002`) is kept for the test."""
    return share(chapter, _CHAPTER_SEED) < _TEST


def _chapter(identity: str) -> str:
    return identity.partition("-")[0]


def _read(root: Path, problems: list[str]) -> Iterator[Utterance]:
    metadata = root / "metadata.csv"
    if not metadata.exists():
        raise DataError(f"{metadata} does not exist", "Name another --root, or fetch it with --download.")
    folder = root / "wavs"
    recordings = {path.stem: path for path in folder.iterdir() if is_audio(path)} if folder.is_dir() else {}
    for number, line in numbered_lines(metadata):
        identity, *texts = line.split("|")
        if not any(texts):
            problems.append(f"{metadata}, line {number}: no text")
        elif identity not in recordings:
            problems.append(f"{identity}: no recording in {folder}")
        else:
            # A few published lines leave the normalized column empty.
            text = texts[-1] or texts[0]
            yield Utterance(identity, recordings[identity], 0.0, text, "LJ", extra={"chapter": _chapter(identity)})
