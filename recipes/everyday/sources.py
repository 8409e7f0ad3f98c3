"""Where everyday speech comes from: the utterances of each source in its published layout, not measured yet.

Each function takes the folder of one corpus and gives drafts for `asr.corpus.prepare.prepare`. An id begins with
the name of its source; the fields `source` and, where ages are known, `age` are kept in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr.corpus.kaldi import read_table
from asr.corpus.ljspeech import chapter_side
from asr.corpus.manifest import Utterance
from asr.corpus.prepare import numbered_lines
from asr.errors import DataError
from asr.text.normalize import librispeech, ljspeech


def common_voice(root: Path) -> Iterator[Utterance]:
    """Common Voice v1: `transcripts.tsv` of path, tab and text. Who speaks was not published."""
    for path, text in _pairs(root / "transcripts.tsv"):
        yield _draft("common-voice", Path(path).stem, root / path, text)


def voxforge(root: Path) -> Iterator[Utterance]:
    """VoxForge: `NAME-DATE-CODE/etc/PROMPTS` and `wav/*.wav` beside it, anywhere beneath `root`."""
    for prompts in sorted(root.rglob("etc/PROMPTS")):
        session = prompts.parent.parent
        recordings = {path.stem: path for path in (session / "wav").glob("*.wav")}
        for line in prompts.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, text = line.partition(" ")
            clip = name.rpartition("/")[2]
            if clip in recordings and text.strip():
                speaker = session.name.partition("-")[0].lower()
                identity = f"{session.name}-{clip}"
                yield _draft("voxforge", identity, recordings[clip], text, speaker, session=session.name)


def speechocean(root: Path) -> Iterator[Utterance]:
    """speechocean762: `train` and `test` as Kaldi data folders, with ages."""
    for part in ("train", "test"):
        tables = {name: read_table(root / part / name) for name in ("text", "wav.scp", "utt2spk", "spk2age")}
        for utterance, text in tables["text"].items():
            speaker = tables["utt2spk"][utterance]
            audio = root / tables["wav.scp"][utterance]
            age = int(tables["spk2age"][speaker])
            yield _draft("speechocean762", utterance, audio, text, f"so{speaker}", part=part, age=age)


def barista(root: Path) -> Iterator[Utterance]:
    """Coffee orders of Picovoice's benchmark, whose words stand in a `transcripts.tsv` of one's own (see README.md)."""
    for path, text in _pairs(root / "transcripts.tsv"):
        yield _draft("barista", Path(path).stem, root / "data/speech/clean" / path, text)


def lj_chapters(root: Path) -> Iterator[Utterance]:
    """The chapters of LJSpeech that recipes/ljspeech holds out."""
    for _, line in numbered_lines(root / "metadata.csv"):
        clip, *texts = line.split("|")
        audio = next((root / "wavs").glob(f"{clip}.*"), None)
        if audio and chapter_side(clip) == "test":
            yield _draft("ljspeech", clip, audio, ljspeech(texts[-1] or texts[0]), "LJ")


SOURCES = {
    "CommonVoice-v1": common_voice,
    "VoxForge": voxforge,
    "speechocean762": speechocean,
    "barista": barista,
    "LJSpeech-1.1": lj_chapters,
}
"""Folder of the corpus and what reads it."""


def _draft(source: str, name: str, audio: Path, text: str, speaker: str | None = None, **extra: object) -> Utterance:
    return Utterance(
        f"{source}-{name}".replace(" ", "_"),
        audio,
        0.0,
        _letters(text),
        speaker,
        extra={"source": source, **extra},
    )


def _letters(text: str) -> str:
    """Nothing where the alphabet cannot write it (a prompt with a digit): such an utterance is left out."""
    try:
        return librispeech(text)
    except DataError:
        return ""


def _pairs(table: Path) -> Iterator[tuple[str, str]]:
    if not table.exists():
        raise DataError(f"{table} does not exist", "README.md says how it is made.")
    for _, line in numbered_lines(table):
        name, tab, text = line.partition("\t")
        if tab:
            yield name, text
