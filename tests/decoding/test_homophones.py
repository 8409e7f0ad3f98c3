"""Words spelled by phones: each text of words has its own score, homophones among them, however it is pronounced."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import BeamDecoder, DecodingConfig, Hotword, spell
from asr.errors import UsageError
from asr.lm.ngram import NgramModel
from tests.decoding.conftest import random_log_probs
from tests.decoding.reference import EXACT, language_score, sum_over_alignments

SOUNDS = ["<blank>", "▁", "x", "y"]
# A and BA sound alike, B is spoken in two ways, AB as no other.
SPELLINGS = {"A": ["x"], "BA": ["x"], "B": ["y", "yx"], "AB": ["xy"], "BAB": ["yxy"]}


def said(path: str) -> np.ndarray:
    """Log-probabilities of a network that is sure of `path`, one token a frame."""
    log_probs = np.full((len(path), len(SOUNDS)), np.log(0.001), np.float32)
    log_probs[np.arange(len(path)), [" _xy".index(sign) for sign in path]] = np.log(0.997)
    return log_probs


def brute_force(
    log_probs: np.ndarray,
    lexicon: dict[str, list[str]],
    config: DecodingConfig,
    model: NgramModel,
    hotwords: Sequence[Hotword] = (),
) -> dict[str, float]:
    """Text → score: every string of phones read as every sequence of words that it may be, summed by text."""
    mass: dict[str, float] = defaultdict(float)
    known = set(model.vocabulary) | {word for hotword in hotwords for word in hotword.phrase.split()}
    for spelled, acoustic in sum_over_alignments(log_probs, SOUNDS).items():
        choices = [[word for word, ways in lexicon.items() if one in ways and word in known] for one in spelled.split()]
        for words in product(*choices):
            mass[" ".join(words)] += math.exp(acoustic)
    return {text: math.log(value) + language_score(text, config, model, hotwords) for text, value in mass.items()}


PHRASES = ["A", "BA", "B", "ZZ", "B ZZ", "A B", "BA BA", "AB"]


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(0, 5),
    weight=st.floats(0.1, 2),
    bonus=st.floats(-2, 3),
    boosts=st.lists(st.tuples(st.sampled_from(PHRASES), st.floats(-3, 8)), max_size=3),
)
def test_every_text_of_words_has_its_exact_score(model, seed, frames, weight, bonus, boosts):
    """With a word that the model lacks (ZZ, in the search only as a hotword) and one that is spoken as another is."""
    log_probs = random_log_probs(seed, frames, len(SOUNDS), 2.0)
    config = DecodingConfig(**EXACT, lm_weight=weight, word_score=bonus)
    lexicon = SPELLINGS | {"ZZ": ["x", "yy", "x"]}
    hotwords = [Hotword(phrase, boost) for phrase, boost in boosts]
    found = BeamDecoder(SOUNDS, config, model, hotwords, pronunciations=lexicon).decode(log_probs, nbest=10_000)
    assert len({each.text for each in found}) == len(found), "two hypotheses with the same text"
    expected = brute_force(log_probs, lexicon, config, model, hotwords)
    assert {each.text: each.score for each in found} == pytest.approx(expected, abs=1e-5)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        spelled = spell(SOUNDS, each.tokens).split()
        assert all(one in lexicon[word] for one, word in zip(spelled, each.text.split(), strict=True))


def test_words_behind_decide_between_those_that_sound_alike(model):
    """BA is the less likely at first; only the word behind tells it from A."""
    config = DecodingConfig(lm_weight=1.0, word_score=0.0)
    lexicon = {"A": ["x"], "BA": ["x"], "AB": ["y"]}
    [best] = BeamDecoder(SOUNDS, config, model, pronunciations=lexicon).decode(said("x_y"))
    scores = {text: language_score(text, config, model) for text in ("A AB", "BA AB")}
    assert best.text == max(scores, key=scores.__getitem__)
    assert best.language == pytest.approx(scores[best.text])


def test_a_token_that_ends_a_word_and_goes_on_is_refused_where_phones_spell(model):
    with pytest.raises(UsageError, match="can only begin one"):
        BeamDecoder([*SOUNDS, "x▁y"], DecodingConfig(), model, pronunciations=SPELLINGS)


@pytest.mark.parametrize("vocabulary", [SOUNDS, ["<blank>", "▁x", "x", "y", "▁y", "▁"]])
def test_a_pruned_search_loses_little(model, vocabulary):
    config = DecodingConfig(beam_size=100, token_min_logp=-np.inf, lm_weight=1.0)
    decoder = BeamDecoder(vocabulary, config, model, pronunciations=SPELLINGS)
    exact = decoder.with_config(replace(config, **EXACT))
    for seed in range(10):
        log_probs = random_log_probs(seed, 7, len(vocabulary), 2.0)
        assert decoder.decode(log_probs)[0].score == pytest.approx(exact.decode(log_probs)[0].score, abs=0.1)


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
    score = {word: model.score_sentence([word]) for word in ("A", "BA")}
    lead = 0.5 * (score["A"] - score["BA"])
    assert lead > 0.1

    def text(sound: str, *hotwords: Hotword) -> str:
        config = DecodingConfig(lm_weight=0.5)
        return BeamDecoder(SOUNDS, config, model, hotwords, pronunciations=SPELLINGS).decode(said(sound))[0].text

    assert text("x", Hotword("BA", lead + 0.05)) == "BA"
    assert text("x", Hotword("BA", lead - 0.05)) == "A"
    assert text("y_x", Hotword("B BA", 20.0)) == "B BA"
    assert text("x_xy", Hotword("B BA", 20.0)) == "A AB"  # it does not occur
    assert text("x", Hotword("A", -20.0)) == "BA"  # what is discouraged gives way to what sounds alike


def test_a_hotword_in_place_of_a_homophone_carries_its_own_language_score(model):
    config = DecodingConfig(lm_weight=0.5)
    decoder = BeamDecoder(SOUNDS, config, model, [Hotword("BA", 5.0)], pronunciations=SPELLINGS)
    first, second = decoder.decode(said("x"), nbest=2)
    assert (first.text, second.text) == ("BA", "A")
    for each in (first, second):
        assert each.language == pytest.approx(language_score(each.text, config, model, [Hotword("BA", 5.0)]))


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
