"""recipes/everyday: five corpora in their published layouts, two sides, and nothing of them in what is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.corpus.manifest import Utterance, read_manifest
from tests.recipes.workspace import PROJECT, Workspace, load, speak

choose, prepare = load("everyday/choose.py"), load("everyday/prepare.py")
SPLITS = PROJECT / "recipes/everyday/splits"


def utterance(name: str, text: str, speaker: str | None = None, **extra: object) -> Utterance:
    return Utterance(name, Path(f"{name}.wav"), 1.0, text, speaker, extra=extra)


def test_the_sides_have_no_speaker_and_no_id_in_common() -> None:
    tune, report = ((SPLITS / f"everyday-{side}.ids.txt").read_text().split() for side in ("tune", "report"))
    assert len(tune) == len(set(tune)) == 510
    assert len(report) == len(set(report)) == 496
    assert not set(tune) & set(report)
    for place, source in ((1, "voxforge"), (1, "speechocean762")):
        speakers = [
            {one.split("-")[place][:5].lower() for one in side if one.startswith(source)} for side in (tune, report)
        ]
        assert speakers[0]
        assert speakers[1]
        assert not speakers[0] & speakers[1]


def test_halves_go_by_speaker_or_else_by_sentence() -> None:
    by_speaker = [utterance(f"{who}-{number}", f"TEXT {number}", who) for who in "abcdef" for number in range(3)]
    tune, report = choose.sides(by_speaker)
    assert len(tune) == len(report) == 9
    assert not {one[0] for one in tune} & {one[0] for one in report}
    by_sentence = [utterance(f"{take}-{number}", f"TEXT {number}") for take in "ab" for number in range(6)]
    tune, report = choose.sides(by_sentence)
    assert {one[2] for one in tune} | {one[2] for one in report} == set("012345")
    assert not {one[2] for one in tune} & {one[2] for one in report}
    assert choose.sides(list(reversed(by_sentence))) == (tune, report), "whatever order they come in"


def test_of_common_voice_sentences_that_are_read_once() -> None:
    clips = [utterance(f"clip{number}", f"SENTENCE {number // 2 if number < 10 else number}") for number in range(20)]
    assert {one.id for one in choose.common_voice(clips)} == {f"clip{number}" for number in range(10, 20)}


def test_of_voxforge_what_is_not_arctic_under_whatever_name() -> None:
    session = [
        utterance("voxforge-ann-1-a0001", "AUTHOR OF THE DANGER TRAIL PHILIP STEELS", "ann", session="ann-1"),
        utterance("voxforge-bob-1-rb-01", "AUTHOR OF THE DANGER TRAIL ETC", "bob", session="bob-1"),
        utterance("voxforge-bob-1-rb-02", "SOMETHING ELSE ALTOGETHER IS READ", "bob", session="bob-1"),
    ]
    assert [one.id for one in choose.voxforge(session)] == ["voxforge-bob-1-rb-02"]


@pytest.mark.parametrize(
    ("text", "speaker", "kept"),
    [
        ("SOMETHING NEW", "ann", True),
        ("SOMETHING NEW", "bob", False),
        ("IT'S SAID", None, False),
        ("ITS SAID", None, False),
        ("NOW ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT AND ON", None, False),
        ("NOW ONE TWO THREE FOUR FIVE SIX SEVEN AND ON", None, True),
    ],
)
def test_what_may_be_trained_on(text: str, speaker: str | None, kept: bool) -> None:
    evaluated = [utterance("x", "IT'S SAID", "bob"), utterance("y", "ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT")]
    assert bool(prepare.without([utterance("z", text, speaker)], evaluated)) is kept


@pytest.mark.parametrize(
    ("text", "level", "plausible"),
    [("FIVE WORDS IN A SECOND", -20, False), ("TWO WORDS", -20, True), ("TWO WORDS", -70, False), ("", -20, False)],
)
def test_what_cannot_hold_its_text_is_not_trained_on(text: str, level: float, plausible: bool) -> None:
    assert prepare.is_plausible(utterance("x", text, level_db=level)) is plausible


def test_manifests_of_the_corpora_at_hand_and_a_word_for_those_that_are_not(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    session = tmp_path / "corpora/VoxForge/anywhere/ann-20200101-abc"
    for number in range(4):
        speak(session / f"wav/rb-{number}.wav", "AB CD")
    (session / "etc").mkdir()
    prompts = "x/rb-0 SAID A\nx/rb-1 SAID B\nx/mfc/rb-2 SAID C\nx/rb-3 Number 3, we said.\nx/rb-4 NO RECORDING\n"
    (session / "etc/PROMPTS").write_text(prompts)
    root = tmp_path / "corpora/speechocean762"
    for part, who, age, text in (("train", "0001", 6, "WE SAY A"), ("test", "0002", 30, "WE SAY B")):
        speak(root / f"WAVE/{who}/{who}7.wav", "AB CD AB CD")
        (root / part).mkdir()
        for name, value in (("text", text), ("wav.scp", f"WAVE/{who}/{who}7.wav"), ("utt2spk", who)):
            (root / part / name).write_text(f"{who}7\t{value}\n")
        (root / part / "spk2age").write_text(f"{who} {age}\n")
    (tmp_path / "corpora/barista/data").mkdir(parents=True)  # as it is fetched: its words are one's own to bring
    splits = tmp_path / "recipes/everyday/splits"
    (splits / "everyday-tune.ids.txt").write_text("voxforge-ann-20200101-abc-rb-0\nvoxforge-not-here\n")
    (splits / "everyday-report.ids.txt").write_text("speechocean762-00027\n")
    done = workspace.run("python", "recipes/everyday/prepare.py", "corpora", "manifests")
    assert done.returncode == 0, done.stderr
    assert "CommonVoice-v1 is missing" in done.stdout
    assert "everyday speech without barista: corpora/barista/transcripts.tsv does not exist" in done.stdout
    assert "everyday-tune: 1 of 2 utterances" in done.stdout
    (tune,) = read_manifest(tmp_path / "manifests/everyday-tune.jsonl")
    assert (tune.text, tune.speaker, tune.extra["source"]) == ("SAID A", "ann", "voxforge")
    (report,) = read_manifest(tmp_path / "manifests/everyday-report.jsonl")
    assert (report.text, report.extra["age"]) == ("WE SAY B", 30)
    (rest,) = read_manifest(tmp_path / "manifests/speechocean762-rest.jsonl")
    assert rest.text == "WE SAY A"
    assert not (tmp_path / "manifests/VoxForge-rest.jsonl").exists(), "nobody is left but who is evaluated"
    assert (tmp_path / "manifests/everyday-sentences.txt").read_text() == "SAID A\nWE SAY B\n"

    done = workspace.run("python", "recipes/everyday/prepare.py", "nowhere", "manifests")
    assert done.returncode == 1
    assert "holds none of CommonVoice-v1" in done.stderr
