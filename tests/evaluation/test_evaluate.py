"""A manifest decoded and scored: the folder holds what it should, and an interrupted run goes on where it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.cli.main import app
from asr.corpus.manifest import Utterance, write_manifest
from asr.errors import DataError, UsageError
from asr.evaluation.decode import PART
from asr.evaluation.evaluate import default_folder, describe_files, evaluate, provenance, report_made_by
from asr.io import fingerprint_files
from asr.scoring.files import report_on_files
from asr.transcription.decoder import DecodeOptions, describe_search
from asr.transcription.recognizer import Recognizer, load_model


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return load_model(tiny_model, device="cpu", precision="float32")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Eight recordings of noise, two of them parts of a longer one."""
    generator = np.random.default_rng(2)
    utterances = []
    for number in range(6):
        path = tmp_path / f"n{number}.wav"
        soundfile.write(path, 0.1 * generator.standard_normal(8000 + 1600 * number), 16000)
        utterances.append(Utterance(f"s{number % 2}-{number}", path, 0.5 + 0.1 * number, "THE COPPER KETTLE", "s"))
    soundfile.write(tmp_path / "long.wav", 0.1 * generator.standard_normal(32000), 16000)
    for number, offset in enumerate([0.0, 1.0]):
        utterances.append(Utterance(f"part-{number}", tmp_path / "long.wav", 1.0, "HID THE MAP", "t", offset))
    write_manifest(tmp_path / "noise.jsonl", utterances)
    return tmp_path / "noise.jsonl"


def test_an_unknown_normalizer_is_told_before_anything_is_decoded(
    recognizer: Recognizer, manifest: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="nope"):
        evaluate(recognizer, manifest, tmp_path / "out", normalizer="nope")
    assert not (tmp_path / "out").exists()


def test_the_folder(recognizer: Recognizer, manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    counted: list[int] = []
    evaluation = evaluate(recognizer, manifest, folder, on_progress=counted.append)
    assert sorted(path.name for path in folder.iterdir()) == [
        "hypotheses.jsonl", "hypotheses.trn", "report.html", "report.json",
    ]  # fmt: skip
    assert sum(counted) == 8
    data = json.loads((folder / "report.json").read_text())
    assert data["wer"] == evaluation.report.score.wer
    assert data["words"]["reference"] == 6 * 3 + 2 * 3
    settings = data["settings"]
    assert settings["model"]["fingerprint"] == describe_files(recognizer.model.path)["fingerprint"]
    assert settings["data"]["fingerprint"] == fingerprint_files(manifest)
    assert settings["data"]["utterances"] == 8
    assert settings["decoding"] == {"search": "greedy"}
    assert settings["real_time_factor"] > 0
    assert settings["peak_memory_mb"] > 50
    assert settings["unreadable"] == {}


def test_the_hypotheses_score_as_the_report_says(recognizer: Recognizer, manifest: Path, tmp_path: Path) -> None:
    evaluation = evaluate(recognizer, manifest, tmp_path / "out")
    for name in ("hypotheses.trn", "hypotheses.jsonl"):
        again = report_on_files(manifest, tmp_path / "out" / name)
        assert again.score.words == evaluation.report.score.words


def test_parts_of_a_recording_are_decoded_apart(recognizer: Recognizer, manifest: Path, tmp_path: Path) -> None:
    texts = evaluate(recognizer, manifest, tmp_path / "out").decoding.texts
    samples, rate = soundfile.read(tmp_path / "long.wav", dtype="float32")
    for number, part in enumerate([samples[:rate], samples[rate:]]):
        assert texts[f"part-{number}"].seconds == pytest.approx(1.0)
        assert texts[f"part-{number}"].text == recognizer.transcribe(part, case="upper", punctuation=False).text


class Stopped(Recognizer):
    """A recognizer that is interrupted after a few recordings, and counts what it is given."""

    def __init__(self, recognizer: Recognizer, after: int) -> None:
        self.__dict__.update(recognizer.__dict__)
        self.after = after
        self.given: list[str] = []

    def transcribe_many(self, requests: Any, **options: Any) -> Iterator[Any]:
        listed = list(requests)
        self.given = [request.name for request in listed]
        for number, outcome in enumerate(super().transcribe_many(listed, **options)):
            if number == self.after:
                raise KeyboardInterrupt
            yield outcome


def test_an_interrupted_run_goes_on_where_it_was(recognizer: Recognizer, manifest: Path, tmp_path: Path) -> None:
    whole = evaluate(recognizer, manifest, tmp_path / "whole")
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluate(Stopped(recognizer, 3), manifest, folder)
    assert report_made_by(folder) == provenance(recognizer.model.path, manifest, {"search": "greedy"})
    with (folder / PART).open("a") as file:
        file.write('{"id": "s1-3", "te')  # a line that was cut short
    second = Stopped(recognizer, 99)
    resumed = evaluate(second, manifest, folder)
    assert resumed.decoding.resumed == 3
    assert second.given == ["s1-3", "s0-4", "s1-5", "part-0", "part-1"]
    assert (folder / "hypotheses.trn").read_text() == (tmp_path / "whole" / "hypotheses.trn").read_text()
    assert resumed.report.score.words == whole.report.score.words
    assert not (folder / PART).exists()


@pytest.mark.parametrize("changed", ["model", "data", "decoding", "precision"])
def test_what_was_made_otherwise_is_not_taken_over(
    recognizer: Recognizer, tiny_model: Path, manifest: Path, tmp_path: Path, changed: str
) -> None:
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluate(Stopped(recognizer, 3), manifest, folder)
    other, decoding = recognizer, None
    if changed == "model":
        copy = shutil.copytree(tiny_model, tmp_path / "copy")
        (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
        other = load_model(copy, device="cpu", precision="float32")
    elif changed == "data":
        manifest.write_text(manifest.read_text().replace("COPPER", "SILVER"))
    elif changed == "precision":
        other = load_model(tiny_model, device="cpu", precision="bfloat16")
    else:
        decoding = {"search": "beam", "beam_size": 8}
    assert evaluate(other, manifest, folder, decoding=decoding).decoding.resumed == 0


def test_an_unreadable_recording_counts_as_deleted(recognizer: Recognizer, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "n2.wav").write_bytes(b"RIFF")
    (tmp_path / "long.wav").unlink()
    evaluation = evaluate(recognizer, manifest, tmp_path / "out")
    assert sorted(evaluation.decoding.failures) == ["part-0", "part-1", "s0-2"]
    by_id = {utterance.id: utterance for utterance in evaluation.report.score.utterances}
    assert by_id["s0-2"].words.deletions == by_id["part-1"].words.deletions == 3
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["inputs"]["missing"] == ["part-0", "part-1", "s0-2"]
    assert "n2.wav" in data["settings"]["unreadable"]["s0-2"]


def test_audio_is_embedded_but_for_what_cannot_be_read(recognizer: Recognizer, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "long.wav").write_bytes(b"RIFF")
    evaluation = evaluate(recognizer, manifest, tmp_path / "out", embed_audio=True)
    assert sorted(evaluation.decoding.failures) == ["part-0", "part-1"]
    assert (tmp_path / "out" / "report.html").read_text().count("data:audio/wav;base64") == 6


def test_a_manifest_without_texts(recognizer: Recognizer, tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("u", tmp_path / "u.wav", 1.0)])
    with pytest.raises(DataError, match="holds no texts"):
        evaluate(recognizer, tmp_path / "m.jsonl", tmp_path / "out")


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "x.bin", tmp_path / "b" / "x.bin"
    for path in (first, second):
        path.parent.mkdir()
        path.write_bytes(b"same")
    assert fingerprint_files(first) == fingerprint_files(second)
    second.write_bytes(b"other")
    assert fingerprint_files(first) != fingerprint_files(second)


BEAM = {"search": "beam", "beam_size": 300, "language_model": None}


@pytest.mark.parametrize(
    ("model", "decoding", "name"),
    [
        ("exp/gru5h", {"search": "greedy"}, "gru5h-dev-greedy"),
        ("exp/gru5h/best", {"search": "greedy"}, "gru5h-best-dev-greedy"),
        ("exp/gru5h/model", BEAM, "gru5h-model-dev-beam300-no-lm"),
        ("exp/gru5h", BEAM | {"rescore": "none"}, "gru5h-dev-beam300-no-lm-no-rescoring"),
    ],
)
def test_the_default_folder_says_model_manifest_and_search(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, model: str, decoding: dict[str, Any], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dev.jsonl").write_text("")
    shutil.copytree(tiny_model, model)
    assert default_folder(model, Path("dev.jsonl"), decoding) == Path("reports") / name


def test_no_default_folder_is_that_of_another_model_manifest_or_search(
    tiny_model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        shutil.copytree(tiny_model, tmp_path / name / "exp" / "model")
    (tmp_path / "b" / "exp" / "model" / "decoding.json").write_text('{"beam_size": 3}')
    shutil.copytree(manifest.parent, tmp_path / "c")
    (tmp_path / "c" / manifest.name).write_text(manifest.read_text().splitlines(keepends=True)[0])
    runs = [("a/exp/model", manifest), ("b/exp/model", manifest), ("a/exp/model", tmp_path / "c" / manifest.name)]
    for model, speech in [*runs, runs[0]]:
        for search in (["--greedy"], ["--beam", "4"]):
            result = CliRunner().invoke(app, ["evaluate", model, str(speech), *search, "-q", "--device", "cpu"])
            assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "reports").glob("*/report.json"))) == 6


def test_a_list_of_hotwords_that_has_changed_is_another_search(
    tiny_model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in ("THE", "THE\nCOPPER=8"):
        (tmp_path / "words.txt").write_text(words)
        command = ["evaluate", str(tiny_model), str(manifest), "--hotword", "@words.txt", "-q", "--device", "cpu"]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "reports").glob("*/report.json"))) == 2


def test_manifests_called_alike_need_other_folders_only_where_they_are_named_after_them(
    tiny_model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = manifest.read_text().splitlines(keepends=True)
    alike = [tmp_path / first / "dev" / "x.jsonl" for first in "ab"]
    for path, row in zip(alike, rows, strict=False):
        shutil.copytree(manifest.parent, path.parent, ignore=shutil.ignore_patterns("a", "b"))
        path.write_text(row)
    command = ["evaluate", str(tiny_model), *map(str, alike), "--device", "cpu", "-q"]
    assert isinstance(CliRunner().invoke(app, [*command, "-o", "out"]).exception, UsageError)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert len(list((tmp_path / "reports").glob("*/report.json"))) == 2


def test_a_report_that_is_replaced_is_told(tiny_model: Path, manifest: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(tiny_model), str(manifest), "-o", str(tmp_path / "out"), "--device", "cpu", "-q"]
    told = [CliRunner().invoke(app, [*command, *search]).stderr for search in ([], [], ["--beam", "4"])]
    assert ["replaced" in text for text in told] == [False, False, True]


def test_the_fingerprint_covers_the_folders_within(tiny_phone_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_phone_model, tmp_path / "model")
    before = describe_files(model)["fingerprint"]
    (model / "README.md").write_text("a card")
    assert describe_files(model)["fingerprint"] == before
    (model / "lexicon" / "LICENSE").write_text("another")
    assert describe_files(model)["fingerprint"] != before


def test_the_command(tiny_model: Path, manifest: Path, tmp_path: Path) -> None:
    other = shutil.copy(manifest, tmp_path / "again.jsonl")
    options = ["-o", str(tmp_path / "reports"), "--device", "cpu"]
    result = CliRunner().invoke(app, ["evaluate", str(tiny_model), str(manifest), str(other), *options])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("WER ") == 2
    assert "real-time factor" in result.stdout
    assert (tmp_path / "reports" / "noise" / "report.html").exists()
    assert (tmp_path / "reports" / "again" / "report.json").exists()
    described = json.loads((tmp_path / "reports" / "noise" / "report.json").read_text())["settings"]["decoding"]
    assert described == {"search": "greedy"}
    (tmp_path / "n0.wav").unlink()
    failed = CliRunner().invoke(app, ["evaluate", str(tiny_model), str(manifest), *options, "-q"])
    assert failed.exit_code == 1
    assert "s0-0" in failed.stderr


def test_the_search_is_described(tiny_model: Path) -> None:
    described = describe_search(tiny_model, DecodeOptions(beam_size=4, word_score=0.5, hotwords=["KETTLE=3"]))
    assert (described["search"], described["beam_size"], described["word_score"]) == ("beam", 4, 0.5)
    assert (described["hotwords"], described["language_model"]) == (["KETTLE=3"], None)
    assert describe_search(tiny_model) == {"search": "greedy"}


def test_contradicting_options_are_a_usage_error(tiny_model: Path, manifest: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(tiny_model), str(manifest), "--greedy", "--beam", "4"])
    assert isinstance(result.exception, UsageError)


@pytest.mark.slow
def test_a_beam_from_the_command(tiny_model: Path, manifest: Path, tmp_path: Path) -> None:
    options = ["--beam", "4", "-o", str(tmp_path / "out"), "--device", "cpu"]
    result = CliRunner().invoke(app, ["evaluate", str(tiny_model), str(manifest), *options])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "report.json").read_text())["settings"]["decoding"]["beam_size"] == 4
