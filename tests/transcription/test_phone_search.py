"""A model that hears phones: words come from them, with their times; without a language model it writes letters."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import asr
from asr.cli import main
from asr.decoding import greedy
from asr.errors import ModelError, UsageError
from asr.lexicon import Lexicon
from asr.lexicon.phones import VOCABULARY
from asr.model.bundle import load_saved_model
from asr.model.folder import BUNDLED, ModelFolder
from asr.transcription.align import align_text
from asr.transcription.decoder import DecodeOptions, make_decode, plan_search, read_settings
from tests.audio.recordings import encode, noisy

WORDS = {"THE", "QUICK", "BROWN", "FOX", "KNOWS", "NOSE", "A", "EYE"}


@pytest.fixture(scope="module")
def recognizer(tiny_phone_model):
    return asr.load_model(tiny_phone_model, precision="float32")


def test_words_come_from_phones_and_have_their_times(recognizer):
    heard = recognizer.transcribe(noisy(4.0, 1), case="upper", punctuation=False)
    assert heard.text
    assert set(heard.text.split()) <= WORDS
    (segment,) = heard.segments
    assert [word.text for word in segment.words] == heard.text.split()
    assert all(0 <= word.start < word.end <= 4.0 for word in segment.words)
    assert all(0 <= word.confidence <= 1 for word in segment.words)


def test_without_a_language_model_letters_are_written(tiny_phone_model):
    model = load_saved_model(tiny_phone_model)
    assert plan_search(model.path).decodes_phones(model)
    assert not plan_search(model.path, DecodeOptions(lm="none")).decodes_phones(model)
    assert not plan_search(model.path, DecodeOptions(greedy=True)).decodes_phones(model)
    texts = {
        asr.load_model(tiny_phone_model, **way).transcribe(noisy(4.0, 1)).text
        for way in ({"greedy": True}, {"lm": "none"})
    }
    assert len(texts) == 1
    assert asr.load_model(tiny_phone_model, lm="none", beam_size=8).transcribe(noisy(4.0, 1)).text


def test_phones_spell_what_the_search_says(tiny_phone_model):
    model = load_saved_model(tiny_phone_model)
    path = ["ð", "ʌ", "▁", "n", "O", "z", "▁", "b", "r", "U", "n"]
    log_probs = np.full((1, len(path), len(VOCABULARY)), np.log(1e-3), np.float32)
    log_probs[0, np.arange(len(path)), [VOCABULARY.index(sign) for sign in path]] = np.log(0.96)
    (hypothesis,) = make_decode(model, plan_search(model.path))([log_probs])
    assert hypothesis.text in ("THE KNOWS BROWN", "THE NOSE BROWN")
    assert [VOCABULARY[token] for token in hypothesis.tokens] == path
    assert [hypothesis.tokens for hypothesis in greedy(log_probs, [len(path)])] == [hypothesis.tokens]


def test_a_hotword_that_nobody_listed_is_spoken_as_the_g2p_model_predicts(tiny_phone_model):
    model = load_saved_model(tiny_phone_model)
    listed = dict.fromkeys(["ZORK"], ("zɔrk",)) | {word: model.lexicon.lookup([word])[word] for word in WORDS}
    model.lexicon.__init__(listed, None)
    path = ["z", "ɔ", "r", "k"]
    log_probs = np.full((1, len(path), len(VOCABULARY)), np.log(1e-3), np.float32)
    log_probs[0, np.arange(len(path)), [VOCABULARY.index(sign) for sign in path]] = np.log(0.96)
    (hypothesis,) = make_decode(model, plan_search(model.path, DecodeOptions(hotwords=["zork=5"])))([log_probs])
    assert hypothesis.text == "ZORK"
    with pytest.raises(UsageError, match="hotword 'QQ' is spoken"):
        make_decode(model, plan_search(model.path, DecodeOptions(hotwords=["QQ"])))


def test_a_known_text_is_aligned_by_its_phones(recognizer):
    transcript = align_text(recognizer, noisy(4.0, 2), "The quick, brown\nfox knows!")
    assert [segment.text for segment in transcript.segments] == ["The quick, brown", "fox knows!"]
    starts = [word.start for segment in transcript.segments for word in segment.words]
    assert starts == sorted(starts)


def test_neighbors_in_a_batch_change_nothing(recognizer, tmp_path):
    names = []
    for number in range(6):
        names.append(tmp_path / f"{number}.wav")
        names[-1].write_bytes(encode(noisy(0.5 + number * 0.7, number), 16000))
    requests = [asr.transcription.reader.Request(str(name), name.name) for name in names]
    together = list(recognizer.transcribe_many(requests))
    for request, outcome in zip(requests, together, strict=True):
        (alone,) = recognizer.transcribe_many([request])
        assert (alone.text, alone.words) == (outcome.text, outcome.words)


def test_a_model_without_its_pronunciations_is_refused_by_name(tiny_phone_model, tmp_path):
    folder = shutil.copytree(tiny_phone_model, tmp_path / "model")
    (folder / "lexicon" / "words.tsv.gz").write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"words\.tsv\.gz"):
        load_saved_model(folder)
    shutil.rmtree(folder / "lexicon")
    with pytest.raises(ModelError, match="its lexicon is missing"):
        load_saved_model(folder)


def test_pronunciations_travel_with_the_model(tiny_phone_model):
    lexicon = load_saved_model(tiny_phone_model).lexicon
    assert isinstance(lexicon, Lexicon)
    assert lexicon.lookup(["THE", "NOSE"]) == {"THE": ("ðʌ", "ði"), "NOSE": ("nOz",)}


def test_tuning_searches_what_the_network_hears(tiny_phone_model, tmp_path, capsys):
    folder = shutil.copytree(tiny_phone_model, tmp_path / "model")
    for number in range(3):
        (tmp_path / f"{number}.wav").write_bytes(encode(noisy(2.0, number), 16000))
    lines = [
        f'{{"id": "u{number}", "audio_filepath": "{number}.wav", "duration": 2.0, "text": "THE FOX KNOWS"}}\n'
        for number in range(3)
    ]
    (tmp_path / "dev.jsonl").write_text("".join(lines))
    arguments = ["lm", "tune", str(folder), str(tmp_path / "dev.jsonl"), "--lm", str(folder / "lm.arpa"), "--beam", "8"]
    with pytest.raises(SystemExit) as end:
        main.app([*arguments, "-o", str(tmp_path / "tuning")])
    assert end.value.code == 0
    assert "% with lm.arpa" in capsys.readouterr().out
    assert len(read_settings(folder).prior) == len(VOCABULARY)
    shutil.copy(ModelFolder(BUNDLED).phone_ngram, folder)
    assert (read_settings(folder).beam_size, read_settings(folder).views) == (8, 1)
    with pytest.raises(SystemExit):
        main.app([*arguments, "--views", "2", "-o", str(tmp_path / "again")])
    assert read_settings(folder).prior == (), "CTC-CRF wants no prior taken away"
    assert (read_settings(folder).beam_size, read_settings(folder).views) == (8, 2), "the whole beam, and not a share"
    assert asr.load_model(folder).transcribe(noisy(2.0, 1), case="upper")
    assert asr.load_model(folder, lm="none", beam_size=5).transcribe(noisy(2.0, 1), case="upper")
