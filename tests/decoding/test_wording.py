"""Words spelled as they are spoken: the search over sounds gives words, and the right one of those that sound alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import BeamDecoder, DecodingConfig, Hotword
from asr.errors import UsageError
from asr.lm.ngram import NgramModel
from tests.decoding.conftest import random_log_probs
from tests.decoding.reference import EXACT, sum_over_alignments

SOUNDS = ["<blank>", "▁", "x", "y"]
# A and BA sound alike, B is spoken in two ways, AB as no other.
SPELLINGS = {"A": ["x"], "BA": ["x"], "B": ["y", "yx"], "AB": ["xy"], "BAB": ["yxy"]}


def said(path: str) -> np.ndarray:
    """Log-probabilities of a network that is sure of `path`, one token a frame."""
    log_probs = np.full((len(path), len(SOUNDS)), np.log(0.001), np.float32)
    log_probs[np.arange(len(path)), [" _xy".index(sign) for sign in path]] = np.log(0.997)
    return log_probs


def likeliest(spelled: str, model: NgramModel, config: DecodingConfig) -> tuple[str, float] | None:
    """The words of a spelled text, each the likeliest after those before, and their language score."""
    state, words, total = model.begin_state(), [], 0.0
    for each in spelled.split():
        alike = [word for word, ways in SPELLINGS.items() if each in ways]
        if not alike:
            return None
        scores = {word: model.score(state, model.vocabulary[word]) for word in alike}
        word = max(scores, key=lambda one: scores[one][0])
        total += config.lm_weight * scores[word][0] + config.word_score
        state = scores[word][1]
        words.append(word)
    return " ".join(words), total + config.lm_weight * model.score(state, model.vocabulary["</s>"])[0]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), frames=st.integers(0, 5), weight=st.floats(0.1, 2), bonus=st.floats(-2, 3))
def test_every_spelled_text_has_its_exact_score_and_its_words(model, seed, frames, weight, bonus):
    log_probs = random_log_probs(seed, frames, len(SOUNDS), 2.0)
    config = DecodingConfig(**EXACT, lm_weight=weight, word_score=bonus)
    found = BeamDecoder(SOUNDS, config, model, pronunciations=SPELLINGS).decode(log_probs, nbest=10_000)
    expected = []
    for spelled, acoustic in sum_over_alignments(log_probs, SOUNDS).items():
        if (words := likeliest(spelled, model, config)) is not None:
            expected.append((acoustic + words[1], words[0]))
    assert [(h.score, h.text) for h in found] == [
        (pytest.approx(score, abs=1e-5), text) for score, text in sorted(expected, reverse=True)
    ]


def test_the_words_before_choose_among_those_that_sound_alike(model):
    decoder = BeamDecoder(SOUNDS, DecodingConfig(lm_weight=1.0), model, pronunciations=SPELLINGS)
    assert decoder.decode(said("x"))[0].text == "A"
    assert decoder.decode(said("x_xy_yx_yxy"))[0].text == "A AB B BAB"
    assert decoder.decode(np.zeros((0, 4), np.float32))[0].text == ""


def test_what_no_word_is_spelled_like_never_comes_out(model):
    decoder = BeamDecoder(SOUNDS, DecodingConfig(), model, pronunciations=SPELLINGS)
    texts = [hypothesis.text for hypothesis in decoder.decode(said("yy y x x"), nbest=50)]
    assert all(word in SPELLINGS for text in texts for word in text.split())


def test_a_hotword_is_heard_as_it_is_spoken(model):
    sound = 0.5 * said("yx x") + 0.5 * said("y  x")  # in doubt whether an x follows
    pronunciations = SPELLINGS | {"YXX": ["yxx"], "ZZ": ["x"]}
    plain = BeamDecoder(SOUNDS, DecodingConfig(), model, pronunciations=pronunciations)
    hot = BeamDecoder(SOUNDS, DecodingConfig(), model, [Hotword("YXX", 20.0)], pronunciations=pronunciations)
    assert "YXX" not in plain.decode(sound)[0].text
    assert hot.decode(sound)[0].text == "YXX"
    phrase = BeamDecoder(SOUNDS, DecodingConfig(), model, [Hotword("B ZZ", 20.0)], pronunciations=pronunciations)
    assert phrase.decode(said("y_x"))[0].text == "B ZZ"  # though A sounds the same and is a word of the model


def test_a_hotword_is_meant_where_its_boost_outweighs_what_sounds_like_it(model):
    score = {word: model.score(model.begin_state(), model.vocabulary[word])[0] for word in ("A", "BA")}
    lead = 0.5 * (score["A"] - score["BA"])
    assert lead > 0.1

    def text(sound: str, *hotwords: Hotword) -> str:
        config = DecodingConfig(lm_weight=0.5)
        return BeamDecoder(SOUNDS, config, model, hotwords, pronunciations=SPELLINGS).decode(said(sound))[0].text

    assert text("x", Hotword("BA", lead + 0.05)) == "BA"
    assert text("x", Hotword("BA", lead - 0.05)) == "A"
    assert text("y_x", Hotword("B BA", 20.0)) == "B BA"
    assert text("x_xy", Hotword("B BA", 20.0)) == "A AB"  # it does not occur
    assert text("x", Hotword("A", -20.0)) == "A"


def test_spellings_need_a_language_model():
    with pytest.raises(UsageError, match="needs a language model"):
        BeamDecoder(SOUNDS, DecodingConfig(), pronunciations=SPELLINGS)


def test_a_hotword_that_nobody_can_speak_is_named(model):
    with pytest.raises(UsageError, match="hotword 'QQ' is spoken"):
        BeamDecoder(SOUNDS, DecodingConfig(), model, [Hotword("QQ")], pronunciations=SPELLINGS)


def test_words_without_a_spelling_are_not_heard(model):
    pronunciations = {word: ways for word, ways in SPELLINGS.items() if word != "A"}
    decoder = BeamDecoder(SOUNDS, DecodingConfig(), model, pronunciations=pronunciations)
    assert decoder.decode(said("x"))[0].text == "BA"
