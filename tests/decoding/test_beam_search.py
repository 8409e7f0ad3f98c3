from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import BeamDecoder, DecodingConfig, Hotword, greedy, spell
from asr.errors import ModelError, UsageError
from tests.decoding.conftest import random_log_probs
from tests.decoding.reference import EXACT, brute_force, prefix_search, sum_over_alignments

CHARACTERS = ["<blank>", "▁", "A", "B"]
# Several ways to spell most texts; a lone word start; a piece with a boundary inside and one that ends in one.
PIECES = ["<blank>", "▁A", "B", "▁", "A"]
STRANGE_PIECES = ["<blank>", "A▁B", "A▁", "▁▁B", "<unk>"]
ENDING_PIECES = ["<blank>", "▁A", "▁B▁", "A"]
VOCABULARIES = {"characters": CHARACTERS, "pieces": PIECES, "strange": STRANGE_PIECES, "ending": ENDING_PIECES}

inputs = {
    "seed": st.integers(0, 10_000),
    "frames": st.integers(0, 5),
    "sharpness": st.sampled_from([0.5, 2.0, 6.0]),
    "name": st.sampled_from(sorted(VOCABULARIES)),
}


def draw(seed: int, frames: int, sharpness: float, name: str) -> tuple[np.ndarray, list[str]]:
    vocabulary = VOCABULARIES[name]
    log_probs = random_log_probs(seed, frames, len(vocabulary), sharpness)
    if "<unk>" in vocabulary:
        log_probs[:, vocabulary.index("<unk>")] = -np.inf  # never comes out, so the brute force must not see it either
    return log_probs, vocabulary


def as_scores(hypotheses) -> dict[str, float]:
    scores = {hypothesis.text: hypothesis.score for hypothesis in hypotheses}
    assert len(scores) == len(hypotheses), "two hypotheses with the same text"
    return scores


@settings(deadline=None, max_examples=60)
@given(**inputs)
def test_without_pruning_every_text_has_the_sum_over_its_alignments(seed, frames, sharpness, name):
    log_probs, vocabulary = draw(seed, frames, sharpness, name)
    found = BeamDecoder(vocabulary, DecodingConfig(**EXACT, word_score=0.0)).decode(log_probs, nbest=10_000)
    assert as_scores(found) == pytest.approx(sum_over_alignments(log_probs, vocabulary), abs=1e-6)
    assert [hypothesis.score for hypothesis in found] == sorted((h.score for h in found), reverse=True)


@settings(deadline=None, max_examples=80)
@given(
    **inputs,
    weight=st.floats(0, 2),
    bonus=st.floats(-2, 3),
    unknown=st.floats(-8, 1),
    letter=st.floats(-2, 0),
    closed=st.booleans(),
    end=st.booleans(),
    boosts=st.lists(st.tuples(st.sampled_from(["B", "BB", "A B", "B A B", "AA"]), st.floats(-3, 8)), max_size=3),
)
def test_with_language_model_and_hotwords_every_text_has_its_exact_score(
    model, seed, frames, sharpness, name, weight, bonus, unknown, letter, closed, end, boosts
):
    log_probs, vocabulary = draw(seed, frames, sharpness, name)
    hotwords = [Hotword(phrase, boost) for phrase, boost in boosts]
    config = DecodingConfig(
        **EXACT,
        lm_weight=weight,
        word_score=bonus,
        unk_score=unknown,
        unk_char_score=letter,
        closed_vocabulary=closed,
        end_of_sentence=end,
    )
    found = BeamDecoder(vocabulary, config, model, hotwords).decode(log_probs, nbest=10_000)
    counted = [Hotword(phrase, boost) for phrase, boost in dict(boosts).items()]  # the last boost of a phrase
    assert as_scores(found) == pytest.approx(brute_force(log_probs, vocabulary, config, model, counted), abs=1e-5)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(hypothesis.acoustic + hypothesis.language)


@pytest.mark.parametrize("name", sorted(VOCABULARIES))
def test_pruned_search_nearly_always_finds_what_the_plain_python_search_finds(name):
    """The kernel leaves out contributions that are too small to matter where several prefixes make one text.

    What it leaves out makes room in a narrow beam, so that now and then another text wins, better or worse. As that is
    chance, the utterances are the same in every run.
    """
    same, lost = 0, []
    for seed in range(240):
        log_probs, vocabulary = draw(seed, 1 + seed % 29, 2.0, name)
        beam_size = 1 + seed % 12
        config = DecodingConfig(beam_size=beam_size, token_min_logp=-math.inf, beam_threshold=math.inf, word_score=0.0)
        [best] = BeamDecoder(vocabulary, config).decode(log_probs)
        text, score = prefix_search(log_probs, vocabulary, beam_size)[0]
        same += best.text == text
        lost.append(score - best.score)
    assert same >= 0.98 * len(lost)
    assert np.quantile(lost, 0.95) < 1e-3
    assert np.quantile(lost, 0.99) < 1e-2


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), frames=st.integers(0, 40), name=inputs["name"])
def test_tokens_spell_the_text_and_stand_in_rising_frames(seed, frames, name):
    log_probs, vocabulary = draw(seed, frames, 3.0, name)
    for hypothesis in BeamDecoder(vocabulary).decode(log_probs, nbest=10):
        assert hypothesis.text == spell(vocabulary, hypothesis.tokens)
        assert len(hypothesis.frames) == len(hypothesis.tokens)
        assert all(0 <= frame < frames for frame in hypothesis.frames)
        assert all(first < second for first, second in zip(hypothesis.frames, hypothesis.frames[1:], strict=False))


def test_a_sure_model_gives_what_greedy_gives_with_the_same_frames():
    path = [0, 0, 2, 2, 0, 3, 0, 1, 1, 3, 0, 3, 3, 0]
    log_probs = np.full((len(path), 4), np.log(0.01), np.float32)
    log_probs[np.arange(len(path)), path] = np.log(0.97)
    [best] = BeamDecoder(CHARACTERS).decode(log_probs)
    [simple] = greedy(log_probs[None], [len(path)])
    assert (best.tokens, best.frames, best.text) == (simple.tokens, simple.frames, "AB BB")


def test_pruning_by_threshold_and_margin_only_loses_what_is_unlikely():
    log_probs = random_log_probs(5, 60, 4, 3.0)
    everything = DecodingConfig(beam_size=2000, token_min_logp=-np.inf, beam_threshold=np.inf, word_score=0.0)
    exact = BeamDecoder(CHARACTERS, everything)
    pruned = exact.with_config(replace(everything, beam_size=200, token_min_logp=-7, beam_threshold=14))
    assert pruned.decode(log_probs)[0].text == exact.decode(log_probs)[0].text
    assert pruned.decode(log_probs)[0].score == pytest.approx(exact.decode(log_probs)[0].score, abs=0.3)
    narrow = exact.with_config(replace(pruned.config, beam_threshold=1.0))
    assert len(narrow.decode(log_probs, nbest=200)) < len(pruned.decode(log_probs, nbest=200))


def test_no_frames_one_frame_and_silence_decode_to_nothing(model):
    silence = np.log(np.tile(np.array([0.997, 0.001, 0.001, 0.001], np.float32), (50, 1)))
    for decoder in (BeamDecoder(CHARACTERS), BeamDecoder(CHARACTERS, language_model=model)):
        for frames in (0, 1, 50):
            [best] = decoder.decode(silence[:frames])
            assert (best.text, best.tokens, best.frames) == ("", (), ())


def test_a_long_recording_neither_underflows_nor_overflows(model):
    log_probs = np.tile(random_log_probs(2, 50, 4, 2.0), (200, 1))
    decoder = BeamDecoder(CHARACTERS, DecodingConfig(token_min_logp=-20, lm_weight=1.5, word_score=3.0), model)
    [best] = decoder.decode(log_probs)
    assert len(best.text) > 3000
    assert math.isfinite(best.score)
    [shifted] = decoder.decode(log_probs - 3)
    assert shifted.text == best.text
    assert shifted.acoustic == pytest.approx(best.acoustic - 3 * len(log_probs), rel=1e-4)


def test_the_language_model_turns_the_balance(model):
    """The frames slightly prefer `BB`, which the model does not know, to `BA`, which it does."""
    probs = np.full((3, 4), 0.01, np.float32)
    probs[0, 3] = probs[1, 0] = 0.97
    probs[2, 2:] = 0.45, 0.53
    log_probs = np.log(probs)
    assert BeamDecoder(CHARACTERS).decode(log_probs)[0].text == "BB"
    assert BeamDecoder(CHARACTERS, language_model=model).decode(log_probs)[0].text == "BA"


def test_a_closed_vocabulary_gives_something_even_where_no_word_fits(model):
    log_probs = np.log(
        np.array([[0.01, 0.01, 0.01, 0.97], [0.97, 0.01, 0.01, 0.01], [0, 0, 0, 1.0]], np.float32) + 1e-9
    )
    config = DecodingConfig(closed_vocabulary=True)
    texts = {hypothesis.text for hypothesis in BeamDecoder(CHARACTERS, config, model).decode(log_probs, nbest=50)}
    assert texts
    assert all(word in model.vocabulary for text in texts for word in text.split())


def test_threads_change_nothing(model):
    decoder = BeamDecoder(CHARACTERS, language_model=model)
    several = [random_log_probs(seed, length, 4, 2.0) for seed, length in enumerate([40, 0, 17, 33, 1])]
    alone = [decoder.decode(each, nbest=3) for each in several]
    assert decoder.decode_many(several, nbest=3, threads=3) == alone
    assert decoder.decode_many(several, nbest=3, threads=1) == alone


def test_arrays_in_memory_and_mapped_ones_share_one_compilation(model):
    from asr.decoding.kernels.beam import run

    BeamDecoder(CHARACTERS).decode(random_log_probs(1, 5, 4))
    BeamDecoder(CHARACTERS, language_model=model, hotwords=[Hotword("AB")]).decode(random_log_probs(1, 5, 4))
    assert len(run.signatures) == 1


def test_a_language_model_with_other_letters_is_refused_by_name(model):
    with pytest.raises(ModelError, match="lacks: B"):
        BeamDecoder(["<blank>", "▁", "A"], language_model=model)


@pytest.mark.parametrize(
    "settings",
    [
        {"beam_size": 0},
        {"beam_threshold": 0.0},
        {"lm_weight": -1.0},
        {"rescored_lm_weight": -1.0},
        {"unk_char_score": 0.1},
        {"word_score": math.nan},
        {"lm_weight": math.inf},
        {"lm_weight": 1e308},
        {"beam_threshold": math.nan},
    ],
)
def test_senseless_settings_are_refused(settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        DecodingConfig(**settings)


def test_a_closed_vocabulary_needs_a_language_model():
    with pytest.raises(UsageError, match="closed vocabulary"):
        BeamDecoder(CHARACTERS, DecodingConfig(closed_vocabulary=True))


@pytest.mark.parametrize("log_probs", [np.zeros((3, 5), np.float32), np.full((3, 4), np.nan, np.float32)])
def test_wrong_log_probabilities_are_refused(log_probs):
    with pytest.raises(ValueError, match="log-probabilities"):
        BeamDecoder(CHARACTERS).decode(log_probs)
