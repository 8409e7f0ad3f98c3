from __future__ import annotations

import json
import sys

import pytest
import torch

from asr.errors import UsageError
from asr.features.extractor import FeatureConfig
from asr.model.acoustic import AcousticConfig, AcousticModel, EncoderConfig
from asr.model.bundle import SavedModel, load_saved_model
from asr.text.tokenizer import CharacterTokenizer

onnxruntime = pytest.importorskip("onnxruntime", reason="needs asr[onnx]")
pytest.importorskip("onnx", reason="needs asr[onnx]")

from asr.model.onnx import OnnxNetwork, export_onnx, largest_difference  # noqa: E402


def model(tmp_path, features: FeatureConfig, encoder: EncoderConfig) -> SavedModel:
    torch.manual_seed(3)
    tokenizer = CharacterTokenizer.train(["ABC"])
    network = AcousticModel(AcousticConfig(features, encoder), len(tokenizer.vocabulary)).eval()
    network.features.mean.normal_()
    network.features.deviation.uniform_(0.5, 2.0)
    return SavedModel(tmp_path, network, tokenizer, "librispeech")


@pytest.mark.parametrize("memory", ["bidirectional", "unidirectional", "none"])
@pytest.mark.parametrize("normalize", ["utterance", "global", "none"])
def test_other_lengths_and_batches_than_any_example(tmp_path, memory, normalize):
    encoder = EncoderConfig(rnn_type=memory, layers=2, width=24, channels=[4, 6], strides=[2, 3])
    saved = model(tmp_path, FeatureConfig(size=20, normalize=normalize), encoder)
    assert largest_difference(saved, export_onnx(saved, tmp_path / "m.onnx")) < 1e-4


@pytest.mark.slow
def test_the_bundled_model(tmp_path, monkeypatch, capsys):
    from asr.cli import main

    monkeypatch.setattr(sys, "argv", ["asr", "export", "default", "-o", str(tmp_path / "m.onnx")])
    with pytest.raises(SystemExit) as exit_:
        main.run()
    assert not exit_.value.code, capsys.readouterr().err


def test_padding_and_neighbors_change_nothing(tiny_model, tmp_path):
    saved = load_saved_model(tiny_model)
    exported = OnnxNetwork(export_onnx(saved, tmp_path))
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([30000, 8000, 399, 16001])
    waveforms = 0.1 * torch.randn(4, 40000, generator=generator)
    together, steps = exported(waveforms, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, (count,) = exported(waveforms[row : row + 1, :length], lengths[row : row + 1])
        assert count == steps[row]
        torch.testing.assert_close(alone[0, :count], together[row, :count], atol=1e-4, rtol=0)


def test_the_file_says_what_it_needs(tiny_model, tmp_path):
    saved = load_saved_model(tiny_model)
    about = onnxruntime.InferenceSession(str(export_onnx(saved, tmp_path / "x.onnx"))).get_modelmeta()
    assert json.loads(about.custom_metadata_map["vocabulary"]) == saved.tokenizer.vocabulary
    assert float(about.custom_metadata_map["frame_seconds"]) == saved.frame_seconds
    assert about.custom_metadata_map["sample_rate"] == "16000"


def test_cepstra_are_refused(tmp_path):
    saved = model(tmp_path, FeatureConfig(kind="mfcc", size=13), EncoderConfig(layers=1, width=8))
    with pytest.raises(UsageError, match="filterbank"):
        export_onnx(saved, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_command(tiny_model, tmp_path, monkeypatch, capsys):
    from asr.cli import main

    monkeypatch.setattr(sys, "argv", ["asr", "export", str(tiny_model), "-o", str(tmp_path)])
    with pytest.raises(SystemExit) as exit_:
        main.run()
    out, err = capsys.readouterr()
    assert exit_.value.code in (0, None)
    assert out == f"{tmp_path / 'model.onnx'}\n"
    assert "largest difference" in err
