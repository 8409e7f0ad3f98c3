"""From folders to manifests: what is read, what is measured, what is lost and said to be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile

from asr.corpus.folder import prepare_folder
from asr.corpus.librispeech import prepare_librispeech
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.prepare import SILENCE_DB, Preparation, Size, alternate, measure
from asr.errors import AsrError, AudioError, DataError, UsageError
from asr.scoring.readers import read_transcripts
from tests.corpus.recordings import write_librispeech, write_tone

SPEAKERS = "; comment\n14   | F | dev-clean  | 25.03 | Anne Example\n15   | M | dev-clean  | 5.00 | Bert | Odd\n"


def only(preparations: object) -> Preparation:
    (done,) = preparations  # type: ignore[misc]
    return done


@pytest.mark.parametrize("channels", [1, 2])
def test_duration_and_level_are_measured(tmp_path: Path, channels: int) -> None:
    duration, level = measure(write_tone(tmp_path / "a.wav", 0.5, 0.1, rate=44100, channels=channels))
    assert duration == pytest.approx(0.5)
    assert level == pytest.approx(20 * math.log10(0.1 / math.sqrt(2)), abs=0.01)


def test_a_stretch_is_measured_alone(tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(16000), np.full(8000, 0.5)])
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    assert measure(tmp_path / "a.wav", offset=1.0) == (0.5, pytest.approx(-6.02, abs=0.01))
    assert measure(tmp_path / "a.wav", 0.0, 0.75) == (0.75, SILENCE_DB)


def test_a_torn_recording_is_an_error(tmp_path: Path) -> None:
    whole = write_tone(tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match=r"a\.wav"):
        measure(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".ogg", ".mp3", ".aiff"])
def test_librispeech_layout_with_any_audio(tmp_path: Path, suffix: str) -> None:
    texts = {"14-7-0000": "IT'S A TEST", "15-8-0000": "WORDS"}
    write_librispeech(tmp_path / "LibriSpeech", "dev-clean", texts, suffix, SPEAKERS)
    done = only(prepare_librispeech(tmp_path, [], tmp_path / "out"))
    first, second = read_manifest(done.manifest)
    assert (first.id, first.text, first.speaker) == ("14-7-0000", "IT'S A TEST", "14")
    assert first.audio == tmp_path / f"LibriSpeech/dev-clean/14/7/14-7-0000{suffix}"
    assert first.extra["gender"] == "F"
    assert first.extra["chapter"] == "7"
    assert first.extra["level_db"] == pytest.approx(-23, abs=0.3)
    assert first.duration == pytest.approx(0.25, abs=0.1)
    assert second.extra["gender"] == "M"
    assert (done.utterances, done.words, done.speakers, done.problems) == (2, 4, 2, [])
    assert done.completeness == "partial: 2 of 2,703 utterances"


def test_every_loss_is_named_and_stops_nothing(tmp_path: Path) -> None:
    texts = {f"14-7-{number:04}": "WORDS" for number in range(5)} | {"14-7-0005": "PAGE 7"}
    root = write_librispeech(tmp_path, "my-part", texts, ".wav")
    chapter = root / "my-part/14/7"
    (chapter / "14-7-0001.wav").write_bytes(b"")
    (chapter / "14-7-0002.wav").write_bytes(b"RIFF" + bytes(100))
    (chapter / "14-7-0003.wav").unlink()
    write_tone(chapter / "14-7-9999.wav")
    done = only(prepare_librispeech(root, ["my-part"], tmp_path / "out"))
    assert [utterance.id for utterance in read_manifest(done.manifest)] == ["14-7-0000", "14-7-0004"]
    assert sorted(problem.partition(":")[0] for problem in done.problems) == [
        f"14-7-{number}" for number in ("0001", "0002", "0003", "0005", "9999")
    ]


def test_no_part_and_no_usable_utterance_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dev-clean"):
        list(prepare_librispeech(tmp_path, ["dev-clean"], tmp_path))
    with pytest.raises(DataError, match="no part"):
        list(prepare_librispeech(tmp_path, [], tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not one usable"):
        list(prepare_librispeech(tmp_path, ["empty"], tmp_path))


@pytest.mark.parametrize(
    ("utterances", "words", "official", "expected"),
    [
        (3, 9, Size(3, 9), "complete"),
        (3, 9, Size(3), "complete"),
        (1064, 9, Size(28539), "partial: 1,064 of 28,539 utterances"),
        (3, 8, Size(3, 9), "all 3 utterances, but 8 words instead of 9"),
        (3, 9, None, ""),
    ],
)
def test_completeness(utterances: int, words: int, official: Size | None, expected: str) -> None:
    done = Preparation("x", Path("x.jsonl"), utterances, 1.0, words, 1, official=official)
    assert done.completeness == expected


def test_folder_of_pairs(tmp_path: Path) -> None:
    for name, text in (("anna/a b.wav", "Hello, there!"), ("bert/c.flac", "Fine.")):
        write_tone(tmp_path / "mine" / name).with_suffix(".txt").write_text(text)
    write_tone(tmp_path / "mine/bert/no text.wav")
    write_tone(tmp_path / "mine/bert/silent.wav").with_suffix(".txt").write_text(" \n")
    write_tone(tmp_path / "mine/bert/wordless.wav").with_suffix(".txt").write_text("…\n")
    (tmp_path / "mine/bert/._c.flac").write_bytes(b"left by another system")
    done = prepare_folder(tmp_path / "mine", tmp_path, speaker_from=r"^([^/]+)/")
    found = [(one.id, one.text, one.speaker) for one in read_manifest(tmp_path / "mine.jsonl")]
    assert found == [("anna-a_b", "HELLO THERE", "anna"), ("bert-c", "FINE", "bert")]
    missing, empty, wordless = done.problems
    assert "no text.wav" in missing
    assert "silent.wav: its text is empty" in empty
    assert wordless == "bert-wordless: the text '…\\n' has no word"


def test_texts_without_a_recording_are_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    write_tone(mine / "anna/take1.wav").with_suffix(".txt").write_text("words")
    (mine / "notes").mkdir()
    for name in (
        "anna/take2.txt",
        "anna/take3.TXT",
        "anna/README.txt",
        "anna/._take1.txt",
        "notes/any.txt",
        "list.txt",
    ):
        (mine / name).write_text("words")
    done = prepare_folder(mine, tmp_path)
    assert [one.id for one in read_manifest(done.manifest)] == ["anna-take1"]
    assert done.problems == [
        f"{mine}/anna/{name}: no recording of this name beside it" for name in ("take2.txt", "take3.TXT")
    ]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    for name in ("mine/z/a.wav", "elsewhere/deep/b.wav"):
        write_tone(tmp_path / name).with_suffix(".txt").write_text("words")
    (tmp_path / "mine/again").symlink_to("z")
    (tmp_path / "mine/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine/self").symlink_to(".")
    (tmp_path / "elsewhere/deep/back").symlink_to(tmp_path / "mine")
    (tmp_path / "elsewhere/loop").symlink_to("loop")
    done = prepare_folder(tmp_path / "mine", tmp_path)
    assert [one.id for one in read_manifest(done.manifest)] == ["linked-deep-b", "z-a"]
    assert done.problems == []


def test_ids_of_a_folder_come_back_from_trn(tmp_path: Path) -> None:
    write_tone(tmp_path / "mine/my voice/Recording (1).wav").with_suffix(".txt").write_text("words")
    (one,) = read_manifest(prepare_folder(tmp_path / "mine", tmp_path).manifest)
    assert one.id == "my_voice-Recording__1_"
    (tmp_path / "heard.trn").write_text(f"{one.text} ({one.id})\n")
    assert dict(read_transcripts(tmp_path / "heard.trn").texts) == {one.id: one.text}


def test_folder_with_a_table(tmp_path: Path) -> None:
    for name in ("x/1.wav", "2.wav"):
        write_tone(tmp_path / name)
    table = "x/1.wav\tone, two\n\n2.wav\tchapter 3\nbroken line\n3.wav\tgone\n2.wav\tagain\n"
    (tmp_path / "transcripts.tsv").write_text(table, encoding="utf-8-sig")
    done = prepare_folder(tmp_path, tmp_path / "out", name="mine", normalizer="ljspeech", speaker="me")
    found = [(one.id, one.text, one.speaker) for one in read_manifest(done.manifest)]
    assert found == [("x-1", "ONE TWO", "me"), ("2", "CHAPTER THREE", "me")]
    assert ["line 4" in done.problems[0], "2.wav" in done.problems[1], "3.wav" in done.problems[2]] == [True] * 3


def test_a_third_column_is_not_spoken(tmp_path: Path) -> None:
    for name in "1234":
        write_tone(tmp_path / f"{name}.wav")
    table = "1.wav\thello world\tanna\n2.wav\thello\t\t\n3.wav\t\tanna\textra\n4.wav\t\n"
    (tmp_path / "transcripts.tsv").write_text(table)
    done = prepare_folder(tmp_path, tmp_path / "out", name="mine")
    assert [(one.id, one.text) for one in read_manifest(done.manifest)] == [("2", "HELLO")]
    *columns, empty = done.problems
    assert "4.wav: its text is empty" in empty
    assert [problem.partition(", ")[2] for problem in columns] == [
        "line 1: 3 columns instead of two, path and text",
        "line 3: 4 columns instead of two, path and text",
    ]


def test_a_line_of_a_table_ends_where_its_line_does(tmp_path: Path) -> None:
    write_tone(tmp_path / "1.wav")
    (tmp_path / "transcripts.tsv").write_bytes("1.wav\tone\u0085two\u2028three\r\n".encode())
    done = prepare_folder(tmp_path, tmp_path / "out", name="mine")
    assert [one.text for one in read_manifest(done.manifest)] == ["ONE TWO THREE"]
    assert done.problems == []


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    write_tone(tmp_path / "1.wav")
    (tmp_path / "transcripts.tsv").write_bytes("1.wav\tone\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"transcripts\.tsv cannot be read"):
        prepare_folder(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"speaker_from": "("}, UsageError),
        ({"speaker_from": "no group"}, UsageError),
        ({"speaker_from": "(a)(b)"}, UsageError),
        ({"speaker_from": "(a)", "speaker": "b"}, UsageError),
        ({"speaker_from": "^(nobody)/"}, DataError),
        ({"normalizer": "nope"}, UsageError),
        ({}, DataError),
    ],
)
def test_folder_mistakes(tmp_path: Path, options: dict[str, str], error: type[AsrError]) -> None:
    with pytest.raises(error):
        prepare_folder(tmp_path, tmp_path, **options)  # type: ignore[arg-type]


def test_a_relative_folder_gives_a_manifest_that_reads_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tone(tmp_path / "mine/a.wav").with_suffix(".txt").write_text("words")
    monkeypatch.chdir(tmp_path)
    done = prepare_folder(Path("mine"), Path("out"))
    manifest = done.manifest.resolve()
    monkeypatch.chdir("/")
    assert read_manifest(manifest)[0].audio == tmp_path / "mine/a.wav"


def test_interrupted_and_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    write_librispeech(root, "my-part", {f"14-7-{number:04}": "WORDS" for number in range(6)}, ".wav")
    recordings = sorted(root.glob("my-part/14/7/*.wav"))

    def interrupt(utterances: Iterable[Utterance], total: int) -> Iterator[Utterance]:
        for number, utterance in enumerate(utterances):
            if number == 3:
                raise KeyboardInterrupt
            yield utterance

    with pytest.raises(KeyboardInterrupt):
        list(prepare_librispeech(root, [], out, track=interrupt))
    (resume_log,) = out.iterdir()
    assert resume_log.name == ".my-part.measured"
    resume_log.write_text(resume_log.read_text() + '["torn')  # as a kill in mid-write would leave it
    write_tone(recordings[1], seconds=0.5)  # changed since, so not to be taken from the resume_log

    measured = []
    monkeypatch.setattr(
        "asr.corpus.prepare.measure", lambda audio, *rest: measured.append(audio) or measure(audio, *rest)
    )
    done = only(prepare_librispeech(root, [], out))
    assert sorted(measured) == [recordings[1], *recordings[4:]]
    assert [one.duration for one in read_manifest(done.manifest)] == [0.25, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert [path.name for path in out.iterdir()] == ["my-part.jsonl"]


def test_what_was_measured_outlives_a_manifest_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tone(tmp_path / "mine" / "a.wav")
    (tmp_path / "mine" / "a.txt").write_text("words")
    monkeypatch.setattr("asr.corpus.prepare.write_manifest", Mock(side_effect=AsrError("no space")))
    with pytest.raises(AsrError, match="no space"):
        prepare_folder(tmp_path / "mine", tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr("asr.corpus.prepare.measure", Mock(side_effect=AssertionError("measured again")))
    assert prepare_folder(tmp_path / "mine", tmp_path / "out").utterances == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.jsonl"]


def published(half: str) -> list[str]:
    return (
        (Path(__file__).parents[2] / f"recipes/librispeech/splits/dev-clean-2-{half}.speakers.txt").read_text().split()
    )


@pytest.mark.speech
def test_the_published_halves_follow_the_rule(corpora: Path) -> None:
    speakers = [folder.name for folder in (corpora / "LibriSpeech/dev-clean-2").iterdir()]
    assert alternate(speakers) == (published("tune"), published("report"))


@pytest.mark.speech
@pytest.mark.slow
def test_mini_librispeech_is_complete(corpora: Path, tmp_path: Path) -> None:
    whole, tune, report = prepare_librispeech(corpora, ["dev-clean-2"], tmp_path)
    assert (whole.utterances, whole.words, whole.speakers, whole.completeness) == (1089, 20138, 26, "complete")
    for name, half in (("tune", tune), ("report", report)):
        assert {utterance.speaker for utterance in read_manifest(half.manifest)} == set(published(name))
    assert tune.utterances + report.utterances == 1089


def test_tags_in_transcripts_are_named_and_never_words(tmp_path: Path) -> None:
    for name, text in (
        ("a", "we walked along"),
        ("b", "[laughter] we walked"),
        ("c", "we <unk> along"),
        ("d", "(uh) no"),
    ):
        write_tone(tmp_path / "rec" / f"{name}.wav", seconds=0.5)
        (tmp_path / "rec" / f"{name}.txt").write_text(text)
    done = prepare_folder(tmp_path / "rec", tmp_path / "out")
    assert [one.text for one in read_manifest(done.manifest)] == ["WE WALKED ALONG"]
    assert [problem.split(":")[0] for problem in done.problems] == ["b", "c", "d"]
    assert all("which nobody speaks" in problem for problem in done.problems)
