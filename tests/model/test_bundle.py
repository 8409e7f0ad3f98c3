"""Model folders: read back exactly; whatever is torn, foreign or hostile is refused by name and never run."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import ModelError, UsageError
from asr.features.extractor import FeatureConfig
from asr.model.acoustic import AcousticConfig, AcousticModel, EncoderConfig
from asr.model.bundle import load_saved_model, save_model
from asr.model.folder import BUNDLED, ModelFolder
from asr.text.tokenizer import CharacterTokenizer, SentencePieceTokenizer
from tests.features.signals import speechlike

TEXTS = ["THE CAT SAT ON THE MAT", "A RAT ATE THE HAT", "THAT CAT", "MEN MET AT TEN"]


def small(vocabulary: int) -> AcousticModel:
    torch.manual_seed(4)
    features = FeatureConfig(size=16, normalize="global")
    network = AcousticModel(
        AcousticConfig(features, EncoderConfig(layers=1, width=8, channels=[2], strides=[3])), vocabulary
    )
    network.features.mean.fill_(1.5)
    return network.eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = SentencePieceTokenizer.train(TEXTS, "unigram", 20)
    save_model(tmp_path / "model", small(20), tokenizer, "librispeech", {"epoch": 3, "wer": 0.25})
    return tmp_path / "model"


@pytest.mark.parametrize("kind", ["characters", "unigram"])
def test_round_trip(tmp_path: Path, kind: str) -> None:
    characters = CharacterTokenizer.train(TEXTS)
    tokenizer = characters if kind == "characters" else SentencePieceTokenizer.train(TEXTS, "unigram", 20)
    network = small(len(tokenizer.vocabulary))
    save_model(tmp_path / "model", network, tokenizer, "ljspeech", {"hours": 1.5})
    model = load_saved_model(tmp_path / "model")
    assert (model.normalizer, model.training, model.config) == ("ljspeech", {"hours": 1.5}, network.config)
    assert model.tokenizer.vocabulary == tokenizer.vocabulary
    assert (model.sample_rate, model.frame_seconds) == (16000, 0.03)
    signal, lengths = speechlike(4000), torch.tensor([4000])
    assert torch.equal(model.network(signal, lengths)[0], network(signal, lengths)[0])
    assert not model.network.training


def test_half_precision_halves_the_file_and_is_close(tmp_path: Path, folder: Path) -> None:
    exact = load_saved_model(folder)
    save_model(tmp_path / "half", exact.network, exact.tokenizer, "librispeech", half=True)
    half = load_saved_model(tmp_path / "half")
    sizes = [(path / "model.safetensors").stat().st_size for path in (tmp_path / "half", folder)]
    assert sizes[0] < 0.7 * sizes[1]
    assert all(tensor.dtype == torch.float32 for tensor in half.network.state_dict().values())
    signal, lengths = speechlike(4000), torch.tensor([4000])
    torch.testing.assert_close(half.network(signal, lengths)[0], exact.network(signal, lengths)[0], rtol=0, atol=1e-2)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer.model"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "text", "folder"])
def test_damaged_files_are_named(folder: Path, file: str, damage: str) -> None:
    path = folder / file
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"hello"}[damage])
    with pytest.raises(ModelError, match=r"not a model folder|" + file.replace(".", r"\.")):
        load_saved_model(folder)


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer.model"])
@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_in_any_place_is_refused_and_not_run(folder: Path, file: str, writer: str) -> None:
    mark = folder.parent / "harm"
    if writer == "pickle":
        (folder / file).write_bytes(pickle.dumps(Trap(mark)))
    else:
        torch.save({"weight": Trap(mark)}, folder / file)
    with pytest.raises(ModelError, match=file.replace(".", r"\.")):
        load_saved_model(folder)
    assert not mark.exists()


def change(folder: Path, file: str, **values: object) -> None:
    description = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(description | values))


@pytest.mark.parametrize(
    ("file", "values", "named"),
    [
        ("config.json", {"format": 99}, "format 99 is not known"),
        ("config.json", {"format": None}, "format None"),
        ("config.json", {"acoustic": {"encoder": {"layers": "many"}}}, r"config\.json"),
        ("config.json", {"acoustic": {"decoder": {}}}, r"config\.json"),
        ("config.json", {"acoustic": 3}, r"config\.json"),
        ("config.json", {"vocabulary": 21}, "different vocabularies"),
        ("config.json", {"vocabulary": -1}, r"config\.json"),
        ("config.json", {"vocabulary": "x"}, r"config\.json"),
        ("config.json", {"training": [1]}, r"config\.json"),
        ("config.json", {"normalizer": "klingon"}, "klingon"),
        ("tokenizer.json", {"kind": "characters", "vocabulary": None}, r"tokenizer\.json"),
        ("tokenizer.json", {"kind": "characters", "vocabulary": [1] * 20}, r"tokenizer\.json"),
        ("tokenizer.json", {"kind": "characters", "vocabulary": ["A"] * 20}, r"tokenizer\.json"),
        ("tokenizer.json", {"vocabulary": ["<blank>"] * 20}, r"tokenizer\.model is damaged"),
    ],
    ids=str,
)
def test_wrong_descriptions_are_refused(folder: Path, file: str, values: dict[str, object], named: str) -> None:
    change(folder, file, **values)
    with pytest.raises(ModelError, match=named):
        load_saved_model(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(save({"weight": torch.zeros(2)}))
    with pytest.raises(ModelError, match=r"model\.safetensors does not fit"):
        load_saved_model(folder)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=name):
        load_saved_model(tmp_path / name)


def test_a_model_that_is_being_overwritten_can_always_be_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever file a killed write stopped before, the former or the new model is there."""
    former = load_saved_model(folder)
    for whole_files in range(4):
        left = iter(range(whole_files))

        def replace(self: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return Path(shutil.move(self, target))

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            save_model(folder, small(20), former.tokenizer, "librispeech", {"epoch": 4})
        monkeypatch.undo()
        assert load_saved_model(folder).training["epoch"] == 3
    save_model(folder, small(20), former.tokenizer, "librispeech", {"epoch": 4})
    assert load_saved_model(folder).training["epoch"] == 4


def test_info_tells_of_a_model_a_recording_and_a_manifest(folder: Path, tmp_path: Path) -> None:
    import soundfile

    from asr.corpus.manifest import Utterance, write_manifest

    soundfile.write(tmp_path / "a.wav", speechlike(8000)[0].numpy(), 16000)
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", tmp_path / "a.wav", 0.5, "A CAT", "x")])
    result = CliRunner().invoke(app, ["info", str(folder), str(tmp_path / "a.wav"), str(tmp_path / "m.jsonl")])
    assert result.exit_code == 0, result.output
    facts = dict(line.split(maxsplit=1) for line in result.output.splitlines() if line.startswith("  "))
    assert facts["network"] == "1 × 8 bidirectional GRU"
    assert facts["normalizer"] == "librispeech"
    assert facts["wer"] == "0.25"
    assert facts["duration"].startswith("0.50")
    assert facts["utterances"] == "1"
    failure = CliRunner().invoke(app, ["info", str(tmp_path / "none.wav")])
    assert "none.wav" in str(failure.exception)


def test_language_models_are_installed_whole_and_replace_former_ones(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words.arpa.gz").write_bytes(b"n-grams")
    (tmp_path / "other.ngram").write_bytes(b"more n-grams")
    rnn = tmp_path / "some-rnn"
    rnn.mkdir()
    (rnn / "config.json").write_text("{}")
    model = ModelFolder(folder)
    assert (model.language_model, model.rescorer) == (None, None)
    model.install(tmp_path / "words.arpa.gz", rnn)
    assert model.language_model == folder / "lm.arpa.gz"
    model.install(tmp_path / "other.ngram")
    model.install(model.language_model, model.rescorer)  # what is there already stays
    assert model.language_model == folder / "lm.ngram"
    assert model.language_model.read_bytes() == b"more n-grams"
    assert model.rescorer == folder / "rnn"
    assert [path.name for path in model.rescorer.iterdir()] == ["config.json"]


def test_a_copy_is_the_same_model_and_never_overwrites_one(folder: Path, tmp_path: Path) -> None:
    (folder / "README.md").write_text("the card of another")
    copy = ModelFolder(folder).copy_to(tmp_path / "copy")
    assert [path.relative_to(copy.path) for path in copy.files()] == [
        path.relative_to(folder) for path in ModelFolder(folder).files()
    ]
    load_saved_model(copy.path)
    with pytest.raises(UsageError, match="already holds a model"):
        ModelFolder(folder).copy_to(tmp_path / "copy")
    assert ModelFolder(BUNDLED).is_bundled
    assert not copy.is_bundled


def test_a_model_folder_of_former_names_is_read(tiny_phone_model: Path, tmp_path: Path) -> None:
    """As models were written before: British keys, `memory`, a scribe, `pronunciation/speller.safetensors`."""
    old = shutil.copytree(tiny_phone_model, tmp_path / "old")
    (old / "lexicon").rename(old / "pronunciation")
    (old / "pronunciation" / "g2p.safetensors").rename(old / "pronunciation" / "speller.safetensors")
    description = json.loads((old / "config.json").read_text())
    acoustic = description["acoustic"] | {"outputs_per_step": 1, "scribe": {"layers": 2, "width": 8, "together": 2}}
    acoustic["features"]["normalise"] = acoustic["features"].pop("normalize")
    acoustic["encoder"]["memory"] = acoustic["encoder"].pop("rnn_type")
    description["normaliser"] = description.pop("normalizer")
    (old / "config.json").write_text(json.dumps(description | {"acoustic": acoustic}))
    weights = load_file(old / "model.safetensors") | {"scribe.read.weight": torch.zeros(2, 2)}
    save_file(weights, old / "model.safetensors")
    former, model = load_saved_model(old), load_saved_model(tiny_phone_model)
    assert former.config == model.config
    assert former.lexicon is not None
    assert model.lexicon is not None
    assert former.lexicon.lookup(["THE"]) == model.lexicon.lookup(["THE"])
