"""LJSpeech: its table, and divisions that depend on nothing but the ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr.corpus.ljspeech import chapter_side, is_held_out, prepare_ljspeech, random_side
from asr.corpus.manifest import read_manifest
from asr.corpus.prepare import share
from asr.errors import DataError
from tests.corpus.recordings import write_tone

CHAPTERS = [f"LJ{number:03}" for number in range(1, 51)]
IDS = [f"{chapter}-{clip:04}" for chapter in CHAPTERS for clip in range(1, 263)]  # about the size of the corpus


def test_shares_are_fixed_for_all_time() -> None:
    assert [round(share("LJ001-0001", seed), 6) for seed in (0, 1)] == [0.162143, 0.83411]


def test_five_chapters_are_held_out() -> None:
    assert [chapter for chapter in CHAPTERS if is_held_out(chapter)] == ["LJ002", "LJ021", "LJ041", "LJ045", "LJ048"]


@pytest.mark.parametrize(("side", "test"), [(random_side, 0.10), (chapter_side, 0.10)])
def test_sides_have_their_sizes(side: Callable[[str], str], test: float) -> None:
    sides = [side(identity) for identity in IDS]
    assert sides.count("test") / len(IDS) == pytest.approx(test, abs=0.01)
    assert sides.count("dev") / len(IDS) == pytest.approx(0.05, abs=0.01)


def test_no_chapter_is_heard_in_training_and_tested() -> None:
    chapters = {side: {one[:5] for one in IDS if chapter_side(one) == side} for side in ("train", "dev", "test")}
    assert not chapters["test"] & (chapters["train"] | chapters["dev"])


def test_prepared_with_its_divisions(tmp_path: Path) -> None:
    root = tmp_path / "LJSpeech-1.1"
    rows = ["LJ001-0001|in 1455,|in fourteen fifty-five,", "LJ002-0001|Mr. Neild's|", "LJ001-0002|gone|gone"]
    (root / "wavs").mkdir(parents=True)
    for row in rows[:2]:
        write_tone(root / "wavs" / f"{row[:10]}.wav", rate=22050)
    (root / "metadata.csv").write_text("\n\n".join(rows), encoding="utf-8-sig")
    whole, *sides = prepare_ljspeech(tmp_path, tmp_path / "out")
    found = {one.id: (one.text, one.speaker, one.extra["chapter"]) for one in read_manifest(whole.manifest)}
    assert found == {
        "LJ001-0001": ("IN FOURTEEN FIFTY FIVE", "LJ", "LJ001"),
        "LJ002-0001": ("MISTER NEILD'S", "LJ", "LJ002"),
    }
    assert whole.completeness == "partial: 2 of 13,100 utterances"
    assert len(whole.problems) == 1
    divided = {done.name: [one.id for one in read_manifest(done.manifest)] for done in sides}
    assert divided["ljspeech-chapters-test"] == ["LJ002-0001"]
    assert sum(len(ids) for name, ids in divided.items() if "random" in name) == 2


def test_without_metadata(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.csv"):
        list(prepare_ljspeech(tmp_path, tmp_path))


@pytest.mark.parametrize(("division", "side"), [("random", random_side), ("chapters", chapter_side)])
def test_the_published_ids_follow_the_rule(division: str, side: Callable[[str], str]) -> None:
    splits = Path(__file__).parents[2] / "recipes/ljspeech/splits"
    published = {name: (splits / f"{division}-{name}.ids.txt").read_text().split() for name in ("train", "dev", "test")}
    assert {identity: side(identity) for ids in published.values() for identity in ids} == {
        identity: name for name, ids in published.items() for identity in ids
    }
    assert sum(map(len, published.values())) == 385
