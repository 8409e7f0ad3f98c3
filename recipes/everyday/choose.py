"""The rule that made `splits/`: which utterances are kept for evaluation, and on which side.

    choose.py CORPORA MANIFESTS

`CORPORA` holds the folders named in sources.py. Every draw is `asr.corpus.prepare.share` of a name, so that it is the
same for everyone; the two sides alternate along it, by speaker where speakers are known and by sentence elsewhere.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sources import SOURCES, Utterance

from asr.cli.main import plain_errors
from asr.corpus.manifest import read_manifest
from asr.corpus.prepare import prepare, share
from asr.text.normalize import none

SPLITS = Path(__file__).parent / "splits"
QUIETEST_DB = -55.0
"""What is softer holds no speech that could be judged."""
VOXFORGE_SESSIONS = 15
ARCTIC_BY_ANOTHER_NAME = frozenset({"atterer-21012007-vf22"})
"""Sessions of ARCTIC sentences that no other session at hand shows to be so."""


def common_voice(utterances: Sequence[Utterance]) -> list[Utterance]:
    """300 clips, each the only one of its sentence."""
    clips = Counter(utterance.text for utterance in utterances)
    return _first(300, (utterance for utterance in utterances if clips[utterance.text] == 1), by=_text)


def voxforge(utterances: Sequence[Utterance]) -> list[Utterance]:
    """What the sessions with the most prompts of their own say beside CMU ARCTIC's, which are trained on.

    Some sessions read ARCTIC's sentences under other names than `a0001` to `b0539`, so whatever shares four words in
    a row with a prompt so named counts as ARCTIC's.
    """
    arctic = {words for utterance in utterances if _is_arctic(utterance.id) for words in _runs(utterance.text, 4)}
    own = defaultdict(list)
    for utterance in utterances:
        session = utterance.extra["session"]
        known = _is_arctic(utterance.id) or session in ARCTIC_BY_ANOTHER_NAME
        if not known and not arctic.intersection(_runs(utterance.text, 4)):
            own[session].append(utterance)
    most = sorted(own, key=lambda session: (-len(own[session]), session))[:VOXFORGE_SESSIONS]
    return [utterance for session in most for utterance in own[session]]


def speechocean(utterances: Sequence[Utterance]) -> list[Utterance]:
    """200 utterances of adults out of the published test part."""
    adults = (one for one in utterances if one.extra["part"] == "test" and one.extra["age"] >= 16)
    return _first(200, adults, by=_identity)


def barista(utterances: Sequence[Utterance]) -> list[Utterance]:
    """100 orders of different words."""
    orders = {utterance.text: utterance for utterance in utterances}
    return _first(100, orders.values(), by=_text)


def everything(utterances: Sequence[Utterance]) -> list[Utterance]:
    """All of them."""
    return list(utterances)


RULES = {
    "CommonVoice-v1": common_voice,
    "VoxForge": voxforge,
    "speechocean762": speechocean,
    "barista": barista,
    "LJSpeech-1.1": everything,
}


def sides(chosen: Iterable[Utterance]) -> tuple[list[str], list[str]]:
    """The ids of the tuning and of the reporting half, sorted."""
    speakers = {utterance.speaker for utterance in chosen}
    unit = _speaker if len(speakers) > 1 else _text
    order = sorted({unit(utterance) for utterance in chosen}, key=_drawn)
    tuned = set(order[::2])
    halves: tuple[list[str], list[str]] = ([], [])
    for utterance in chosen:
        halves[unit(utterance) not in tuned].append(utterance.id)
    return sorted(halves[0]), sorted(halves[1])


def main(corpora: Path, manifests: Path) -> None:
    """Write the two lists of ids."""
    tune: list[str] = []
    report: list[str] = []
    for folder, source in SOURCES.items():
        name = f"everyday-all-{folder}"
        prepared = prepare(name, [one for one in source(corpora / folder) if one.text], manifests, none)
        loud = [one for one in read_manifest(prepared.manifest) if one.extra["level_db"] > QUIETEST_DB]
        halves = sides(RULES[folder](loud))
        tune += halves[0]
        report += halves[1]
        print(f"{folder}: {len(halves[0])} + {len(halves[1])} of {prepared.utterances} utterances")
    for side, ids in (("tune", tune), ("report", report)):
        (SPLITS / f"everyday-{side}.ids.txt").write_text("".join(f"{one}\n" for one in ids))


def _first(count: int, utterances: Iterable[Utterance], by: Callable[[Utterance], str]) -> list[Utterance]:
    return sorted(utterances, key=lambda utterance: _drawn(by(utterance)))[:count]


def _drawn(name: str) -> float:
    return share(name, seed=0)


def _text(utterance: Utterance) -> str:
    return utterance.text


def _identity(utterance: Utterance) -> str:
    return utterance.id


def _speaker(utterance: Utterance) -> str:
    return utterance.speaker or ""


def _is_arctic(identity: str) -> bool:
    clip = identity.rpartition("-")[2]
    return len(clip) == 5 and clip[0] in "ab" and clip[1:].isdigit()


def _runs(text: str, length: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


if __name__ == "__main__":
    with plain_errors():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
