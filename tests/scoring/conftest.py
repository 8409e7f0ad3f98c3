"""An invented corpus: sentences from a small grammar, speakers of unequal skill, hypotheses with seeded errors."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = [
    "MARTHA",
    "THE BAKER",
    "OLD JONAS",
    "THE FERRYMAN",
    "MY SISTER",
    "THE CLOCKMAKER",
    "A STRANGER",
    "THE GARDENER",
]
VERBS = ["CARRIED", "HID", "MENDED", "PAINTED", "FORGOT", "BOUGHT", "COUNTED", "KEPT"]
THINGS = ["THE COPPER KETTLE", "TWO LANTERNS", "A BASKET OF PEARS", "THE TORN MAP", "HER WINTER COAT", "AN EMPTY JAR"]
PLACES = ["BY THE HARBOUR", "UNDER THE STAIRS", "IN THE ORCHARD", "BEHIND THE MILL", "AT THE CROSSING", "NEAR THE WELL"]
TIMES = ["BEFORE SUNRISE", "ON TUESDAY", "AFTER THE STORM", "ALL WINTER", "WITHOUT A WORD", "ONCE AGAIN"]
HEARD = {
    "KETTLE": "CATTLE",
    "PEARS": "PAIRS",
    "MILL": "MEAL",
    "HID": "HEAD",
    "TORN": "TURN",
    "JAR": "CHAR",
    "HARBOUR": "HARPER",
}


@dataclass(frozen=True)
class Invented:
    """References (a manifest) and the hypotheses (trn) of two systems, all on disk."""

    manifest: Path
    system: Path
    baseline: Path


def invent(
    folder: Path, utterances: int = 240, speakers: int = 24, seed: int = 1, audio: Path | None = None
) -> Invented:
    """Write an invented corpus; `audio` is a recording that every utterance points to."""
    generator = random.Random(seed)
    skill = {f"spk{number:02d}": generator.lognormvariate(-0.1, 0.5) for number in range(1, speakers + 1)}
    with (
        (folder / "ref.jsonl").open("w") as manifest,
        (folder / "gru.trn").open("w") as system,
        (folder / "old.trn").open("w") as baseline,
    ):
        for number in range(utterances):
            speaker = generator.choice(sorted(skill))
            words = " ".join(map(generator.choice, (NAMES, VERBS, THINGS, PLACES, TIMES)))
            if generator.random() < 0.5:
                words += " AND " + " ".join(map(generator.choice, (NAMES, VERBS, THINGS)))
            identity = f"{speaker}-{number:04d}"
            duration = round(len(words.split()) / generator.uniform(1.8, 3.6), 2)
            entry = {"id": identity, "audio_filepath": str(audio or f"{identity}.flac"), "duration": duration}
            entry |= {"text": words, "speaker": speaker, "level_db": round(generator.gauss(-26, 4), 1)}
            entry |= {"room": generator.choice(["kitchen", "hall", "street"])}
            manifest.write(json.dumps(entry) + "\n")
            for file, rate in ((system, 0.09), (baseline, 0.13)):
                file.write(f"{hear(generator, words.split(), rate * skill[speaker])} ({identity})\n")
    return Invented(folder / "ref.jsonl", folder / "gru.trn", folder / "old.trn")


def hear(generator: random.Random, words: list[str], rate: float) -> str:
    """What a recognizer with this error rate would write."""
    heard = []
    for word in words:
        dice = generator.random() / max(rate, 1e-9)
        if word in HEARD and dice < 4:
            heard.append(HEARD[word])
        elif dice < 0.4:
            heard.append(generator.choice(["THEN", "OLD", "WELL", "MAN", "FOUR", "COURT"]))
        elif dice < 0.75:
            continue
        elif dice < 1:
            heard += [word, generator.choice(["THE", "A", "UH"])]
        else:
            heard.append(word)
    return " ".join(heard)


@pytest.fixture
def invented(tmp_path: Path) -> Invented:
    return invent(tmp_path)
