"""What every test may use: a seeded generator, and the shared corpora where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A developer's machine draws fresh examples and may find something; in CI the same code gives the same verdict.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

CORPORA = Path(os.environ.get("ASR_CORPORA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real speech; tests that ask for it are skipped where it is absent."""
    if not (CORPORA / "LibriSpeech").is_dir():
        pytest.skip(f"needs the shared speech corpora, not found at {CORPORA} (set ASR_CORPORA)")
    return CORPORA


@pytest.fixture(scope="session")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights that finds letters in any sound."""
    import torch

    from asr.features.extractor import FeatureConfig
    from asr.model.acoustic import AcousticConfig, AcousticModel
    from asr.model.encoder import EncoderConfig
    from asr.model.saved import save_model
    from asr.text.tokenizer import CharacterTokenizer

    folder = tmp_path_factory.mktemp("babbler")
    tokenizer = CharacterTokenizer.train(["THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG'S"])
    torch.manual_seed(7)
    encoder = EncoderConfig(layers=1, width=32, channels=[4, 4, 4], strides=[2, 2, 2])
    network = AcousticModel(AcousticConfig(FeatureConfig(size=20), encoder), len(tokenizer.vocabulary))
    network.output.weight.data *= 8
    save_model(folder, network, tokenizer, "librispeech")
    return folder


@pytest.fixture(scope="session")
def hearer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights that hears phones, knows eight words and their language model."""
    import torch

    from asr.features.extractor import FeatureConfig
    from asr.model.acoustic import AcousticConfig, AcousticModel
    from asr.model.encoder import EncoderConfig
    from asr.model.saved import save_model
    from asr.pronunciation import Pronunciations
    from asr.pronunciation.phones import VOCABULARY
    from asr.pronunciation.spelling import Speller
    from asr.text.tokenizer import CharacterTokenizer

    folder = tmp_path_factory.mktemp("hearer")
    spoken = {"THE": ["ðʌ", "ði"], "QUICK": ["kwɪk"], "BROWN": ["brUn"], "FOX": ["fɑks"], "KNOWS": ["nOz"]}
    spoken |= {"NOSE": ["nOz"], "A": ["ʌ", "E"], "EYE": ["I"]}
    arpa = ["\\data\\", f"ngram 1={3 + len(spoken)}", "", "\\1-grams:", "-9 <unk>", "-99 <s>", "-1 </s>"]
    (folder / "lm.arpa").write_text("\n".join([*arpa, *(f"-1 {word}" for word in spoken), "", "\\end\\", ""]))
    tokenizer = CharacterTokenizer.train(["THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG'S"])
    torch.manual_seed(3)
    encoder = EncoderConfig(layers=1, width=32, channels=[4, 4], strides=[2, 2])
    config = AcousticConfig(FeatureConfig(size=20), encoder, phones=True)
    network = AcousticModel(config, len(tokenizer.vocabulary))
    network.output.weight.data *= 8
    network.phones.weight.data *= 8
    network.phones.bias.data[[VOCABULARY.index(sign) for sign in "▁ʌEI"]] += 8  # of which words can be made
    pronunciations = Pronunciations(spoken, Speller(hidden=4, layers=1, embedding=4))
    save_model(folder, network, tokenizer, "librispeech", pronunciations=pronunciations)
    return folder


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny recurrent language model that has read one sentence, with the babbler's letters."""
    from asr.language.recurrent_training import read_experiment, train_recurrent

    folder = tmp_path_factory.mktemp("writer")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog's\n" * 50)
    settings = ["tokenizer.kind=characters", "network.units=16", "network.embedding=8", "loop.epochs=2"]
    settings += ["batch_tokens=500", "loop.schedule.peak=0.02", "loop.schedule.warmup_updates=2", "threads=1"]
    experiment = read_experiment([folder / "text.txt"], [folder / "text.txt"], folder / "rnn", "librispeech", settings)
    return train_recurrent(experiment)
