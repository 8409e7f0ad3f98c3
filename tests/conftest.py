"""What every test may use: a seeded generator, and the shared corpora where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from asr.punctuation import PunctuationModel

# A developer's machine draws fresh examples and may find something; in CI the same code gives the same verdict.
# No example has a deadline: on a busy machine any may be slow once.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")

CORPORA = Path(os.environ.get("ASR_CORPORA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real speech; tests that ask for it are skipped where it is absent."""
    if not (CORPORA / "LibriSpeech").is_dir():
        pytest.skip(f"needs the shared speech corpora, not found at {CORPORA} (set ASR_CORPORA)")
    return CORPORA


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights that finds letters in any sound."""
    import torch

    from asr.features.extractor import FeatureConfig
    from asr.model.acoustic import AcousticConfig, AcousticModel, EncoderConfig
    from asr.model.bundle import save_model
    from asr.text.tokenizer import CharacterTokenizer

    folder = tmp_path_factory.mktemp("tiny_model")
    tokenizer = CharacterTokenizer.train(["THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG'S"])
    torch.manual_seed(7)
    encoder = EncoderConfig(layers=1, width=32, channels=[4, 4, 4], strides=[2, 2, 2])
    network = AcousticModel(AcousticConfig(FeatureConfig(size=20), encoder), len(tokenizer.vocabulary))
    network.output.weight.data *= 8
    save_model(folder, network, tokenizer, "librispeech")
    return folder


@pytest.fixture(scope="session")
def tiny_phone_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights that hears phones, knows eight words and their language model."""
    import torch

    from asr.features.extractor import FeatureConfig
    from asr.lexicon import Lexicon
    from asr.lexicon.g2p import G2P, G2PConfig
    from asr.lexicon.phones import VOCABULARY
    from asr.model.acoustic import AcousticConfig, AcousticModel, EncoderConfig
    from asr.model.bundle import save_model
    from asr.text.tokenizer import CharacterTokenizer

    folder = tmp_path_factory.mktemp("tiny_phone_model")
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
    pronunciations = Lexicon(spoken, G2P(G2PConfig(hidden=4, layers=1, embedding=4)))
    save_model(folder, network, tokenizer, "librispeech", lexicon=pronunciations)
    return folder


@pytest.fixture(scope="session")
def tiny_rnn_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny recurrent language model that has read one sentence, with the tiny_model's letters."""
    from asr.training.run import read_experiment, run_task

    folder = tmp_path_factory.mktemp("writer")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog's\n" * 50)
    (folder / "rnn.yaml").write_text("task: rnn_lm\ntokenizer: {kind: characters}\nthreads: 1\nbatch_tokens: 500\n")
    settings = ["network.units=16", "network.embedding=8", "loop.epochs=2", "loop.schedule.peak=0.02"]
    settings += ["loop.schedule.warmup_updates=2", f"output={folder / 'rnn'}"]
    settings += [f"{name}=[{folder / 'text.txt'}]" for name in ("train", "validation")]
    run_task(read_experiment(folder / "rnn.yaml", settings))
    return folder / "rnn" / "best"


@pytest.fixture(scope="session")
def tiny_punctuation() -> PunctuationModel:
    """A tiny tagger with random weights: all kinds of marks and case."""
    import torch

    from asr.punctuation import PunctuationModel, Tagger, TaggerConfig
    from asr.text.tokenizer import CharacterTokenizer

    tokenizer = CharacterTokenizer.train(["THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG'S"])
    torch.manual_seed(5)
    network = Tagger(TaggerConfig(embedding=16, hidden=16), len(tokenizer.vocabulary))
    network.output.weight.data *= 8
    return PunctuationModel(network.eval(), tokenizer, {"MCDONALD": "McDonald"}, [0.0] * 4)
