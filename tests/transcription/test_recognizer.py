from __future__ import annotations

import io
import itertools
import json
import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import asr
from asr.audio.segmentation import Chunk, SegmentationConfig
from asr.errors import AudioError, ModelError, UsageError
from asr.model.bundle import load_saved_model
from asr.nn.precision import bfloat16_is_fast, int8_is_fast
from asr.transcription.decoder import DecodeOptions, make_decode, plan_search
from asr.transcription.reader import AudioReader, Request, RequestChunk
from asr.transcription.recognizer import Recognizer
from asr.transcription.result import Failure, Segment, Transcript
from tests.audio.recordings import chirp, encode, noisy


@pytest.fixture(scope="module")
def recognizer(tiny_model):
    return asr.load_model(tiny_model, precision="float32")


def test_path_file_object_bytes_and_array_agree(recognizer, tmp_path):
    samples = noisy(3.0, 1)
    data = encode(samples, 16000, "WAV", "FLOAT")
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    first = recognizer.transcribe(path)
    assert first.text
    assert first.duration == 3.0
    for audio in (str(path), path.open("rb"), io.BytesIO(data), data, samples):
        other = recognizer.transcribe(audio)
        assert (other.text, other.segments, other.duration) == (first.text, first.segments, first.duration)


def test_arrays_of_other_rates_and_whole_numbers(recognizer):
    samples = noisy(3.0, 1)
    whole = recognizer.transcribe((samples * 32768).astype(np.int16))
    assert whole.text == recognizer.transcribe(encode(samples, 16000)).text
    coarse = np.round(np.clip(samples, -1, 127 / 128) * 128)
    unsigned = recognizer.transcribe((coarse + 128).astype(np.uint8))
    assert unsigned.segments == recognizer.transcribe(coarse.astype(np.int8)).segments
    assert unsigned.segments == recognizer.transcribe((coarse / 128).astype(np.float32)).segments
    data = encode(noisy(3.0, 2)[::2], 8000, "WAV", "FLOAT")
    assert recognizer.transcribe(noisy(3.0, 2)[::2], sample_rate=8000).text == recognizer.transcribe(data).text


def test_neighbors_in_a_batch_change_nothing(recognizer, tmp_path):
    requests = []
    for number in range(12):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(encode(noisy(0.5 + number * 0.7, number), 16000))
        requests.append(Request(str(path), path.name))
    together = list(recognizer.transcribe_many(requests))
    assert [outcome.name for outcome in together] == [request.name for request in requests]
    for request, outcome in zip(requests, together, strict=True):
        (alone,) = recognizer.transcribe_many([request])
        assert alone.text == outcome.text
        assert [word.start for word in alone.words] == [word.start for word in outcome.words]


def test_words_are_inside_the_recording_and_in_order(recognizer):
    transcript = recognizer.transcribe(noisy(70.0, 3))
    assert len(transcript.segments) > 3
    assert transcript.words
    now = 0.0
    for word in transcript.words:
        assert now <= word.start < word.end <= 70.0
        assert 0.0 <= word.confidence <= 1.0
        now = word.end
    for segment in transcript.segments:
        assert segment.text == " ".join(word.text for word in segment.words)
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)


def test_further_views_begin_later(recognizer) -> None:
    """What the network says of a view is what it says of features that begin so many frames later."""
    batch = [RequestChunk(0, Chunk(0, noisy(seconds, 3))) for seconds in (2.0, 0.9, 0.02)]
    factor = recognizer._network.encoder.subsampling_factor
    first, second = recognizer.views(batch, 2)
    for emissions, alone in zip(first, recognizer.emissions(batch), strict=True):
        np.testing.assert_allclose(emissions, alone, atol=2e-5)
    for each, emissions in zip(batch, second, strict=True):
        waveform = torch.from_numpy(each.chunk.samples)[None]
        with torch.inference_mode():
            features, frames = recognizer._network.features(waveform, torch.tensor([waveform.shape[1]]))
            late = min(factor // 2, int(frames) - 1)
            alone, steps = recognizer._network.recognize(features[:, late:], frames - late, False)
        np.testing.assert_allclose(emissions, alone[0, : int(steps)].numpy(), atol=2e-5)


def test_the_best_view_says_what_and_the_first_when(tiny_model) -> None:
    recognizer = asr.load_model(tiny_model, beam_size=8, views=2, precision="float32")
    batch = [RequestChunk(0, Chunk(0, noisy(2.0, 3)))]
    heard, _ = recognizer.views(batch)
    scores = np.random.default_rng(5).standard_normal(heard[0].shape).astype(np.float32)
    other = [scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))]
    alone, uncertain = (recognizer.search(batch, [view], words=True)[0] for view in (heard, other))
    assert alone.text != uncertain.text
    assert recognizer.search(batch, [heard, other], words=True)[0] == alone
    swapped = recognizer.search(batch, [other, heard], words=True)[0]
    assert swapped.text == alone.text
    assert [word.start for word in swapped.words] != [word.start for word in alone.words]


def test_stream_gives_the_segments_of_transcribe(recognizer):
    samples = noisy(100.0, 4)
    # Punctuation may differ, which hears less of what follows in a stream.
    assert (
        tuple(recognizer.stream(samples, punctuation=False))
        == recognizer.transcribe(samples, punctuation=False).segments
    )


def test_what_comes_before_a_fault_is_not_held_back(recognizer):
    data = encode(noisy(100.0, 3), 16000)
    plain, punctuated = [], []
    for segments in (plain, punctuated):
        with pytest.raises(AudioError, match="cut short"):
            segments.extend(recognizer.stream(data[: len(data) * 9 // 10], punctuation=segments is punctuated))
    assert [segment.start for segment in punctuated] == [segment.start for segment in plain]
    assert len(plain) > 2


def test_text_without_words_is_the_same_text(recognizer):
    samples = noisy(30.0, 5)
    bare = recognizer.transcribe(samples, words=False)
    # Punctuation may differ, which hears the pauses between words.
    assert bare.plain().text == recognizer.transcribe(samples).plain().text
    assert not bare.words


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(40000, np.float32), np.full(40000, 1e-5)])
def test_nothing_to_hear_is_an_empty_transcript(recognizer, samples):
    transcript = recognizer.transcribe(samples.astype(np.float32))
    assert transcript.text == ""
    assert transcript.segments == ()


@pytest.mark.parametrize("samples", [1, 100, 399, 400, 401, 1000])
def test_a_few_samples_are_no_traceback(recognizer, samples):
    assert isinstance(recognizer.transcribe(chirp(1.0)[:samples]), Transcript)


class TestChannels:
    def test_split_is_each_channel_for_itself(self, recognizer):
        left, right = noisy(6.0, 6), noisy(6.0, 7)
        data = encode(np.stack([left, right], axis=1), 16000, "WAV", "FLOAT")
        both = recognizer.transcribe(data, channel="split")
        assert {segment.channel for segment in both.segments} == {1, 2}
        for number in (1, 2):
            alone = recognizer.transcribe(data, channel=number)
            assert [each.text for each in both.segments if each.channel == number] == [
                each.text for each in alone.segments
            ]
        assert [each.start for each in both.segments] == sorted(each.start for each in both.segments)
        assert recognizer.transcribe(io.BytesIO(data), channel="split") == both

    def test_one_channel_can_be_split_too(self, recognizer):
        data = encode(noisy(3.0, 6), 16000)
        assert recognizer.transcribe(data, channel="split").text == recognizer.transcribe(data).text


class TestFaults:
    def test_one_bad_recording_stops_no_other(self, recognizer, tmp_path):
        good = tmp_path / "good.wav"
        good.write_bytes(encode(noisy(2.0, 8), 16000))
        bad = tmp_path / "bad.wav"
        bad.write_text("no sound")
        requests = [Request(str(path), path.name) for path in (bad, good, tmp_path / "gone.wav", good)]
        outcomes = list(recognizer.transcribe_many(requests))
        assert [type(outcome) for outcome in outcomes] == [Failure, Transcript, Failure, Transcript]
        assert "bad.wav" in str(outcomes[0].error)

    def test_a_cut_short_recording_is_a_failure_as_a_whole(self, recognizer):
        data = encode(noisy(60.0, 9), 16000)
        with pytest.raises(AudioError, match="cut short"):
            recognizer.transcribe(data[: len(data) // 2])

    def test_array_faults(self, recognizer):
        with pytest.raises(AudioError, match="no sound"):
            recognizer.transcribe(np.full(16000, np.nan, np.float32))
        assert recognizer.transcribe(np.zeros((16000, 2), np.float32)).text == ""

    def test_what_is_no_recording_is_named(self, recognizer):
        with pytest.raises(UsageError, match=r"samples .* not of shape \(\)"):
            recognizer.transcribe([0.0] * 16000)
        with pytest.raises(UsageError, match=r"'a\.wav' is no asr\.Request"):
            list(recognizer.transcribe_many([Request(noisy(1.0, 1), "first"), "a.wav"]))

    def test_what_would_be_passed_over_is_refused(self, recognizer):
        with pytest.raises(UsageError, match="says its sample rate itself"):
            recognizer.transcribe(encode(noisy(1.0, 1), 16000), sample_rate=8000)
        with pytest.raises(AudioError, match="there is no channel 2"):
            recognizer.transcribe(noisy(1.0, 1), channel=2)
        with pytest.raises(UsageError, match="channel must be a number"):
            recognizer.transcribe(noisy(1.0, 1), channel="left")

    def test_model_faults(self, tmp_path):
        with pytest.raises(ModelError, match="nowhere"):
            asr.load_model(tmp_path / "nowhere")

    def test_device_faults(self, tiny_model):
        with pytest.raises(UsageError, match="'tpu'"):
            asr.load_model(tiny_model, device="tpu")


def test_context_beyond_a_forced_cut_is_heard_but_not_written(tiny_model):
    """Cut in the middle of endless noise, the chunks together have the text of about the whole."""
    random = np.random.default_rng(1)
    samples = (0.1 * random.standard_normal(16000 * 30)).astype(np.float32)
    cut = Recognizer(
        asr.load_model(tiny_model, precision="float32").model,
        precision="float32",
        segmentation=SegmentationConfig(max_chunk_s=5.0),
    )
    segments = cut.transcribe(samples).segments
    assert len(segments) >= 6
    for before, after in itertools.pairwise(segments):
        assert before.end <= after.start + 1e-6


def test_a_fault_of_the_callers_own_list_is_the_callers(recognizer):
    def requests():
        yield Request(noisy(1.0, 1), "first")
        raise RuntimeError("my own")

    with pytest.raises(RuntimeError, match="my own"):
        list(recognizer.transcribe_many(requests()))


def undecided(folder):
    """A model, and 12 steps (1, T, V) in which every chunk is about as likely as any other."""
    model = load_saved_model(folder)
    scores = 0.1 * np.random.default_rng(5).standard_normal((1, 12, len(model.tokenizer.vocabulary)))
    return model, (scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))).astype(np.float32)


class TestSearch:
    def test_a_model_without_language_model_is_searched_greedily(self, tiny_model, recognizer):
        samples = noisy(5.0, 1)
        assert asr.load_model(tiny_model, precision="float32", greedy=True).transcribe(
            samples
        ) == recognizer.transcribe(samples)

    def test_a_model_that_cannot_decide_takes_the_hotword(self, tiny_model):
        model, log_probs = undecided(tiny_model)
        (keen,) = make_decode(model, plan_search(model.path, DecodeOptions(beam_size=20, hotwords=["OVER=50"])))(
            [log_probs]
        )
        (plain,) = make_decode(model, plan_search(model.path, DecodeOptions(beam_size=20)))([log_probs])
        assert "OVER" in keen.text.split()
        assert "OVER" not in plain.text.split()

    def test_settings_and_language_model_of_the_model_folder(self, tiny_model, tmp_path):
        folder = shutil.copytree(tiny_model, tmp_path / "model")
        (folder / "lm.arpa").write_text(
            "\\data\\\nngram 1=4\n\n\\1-grams:\n-9\t<unk>\n-99\t<s>\n-1\t</s>\n-0.1\tFOX\n\n\\end\\\n"
        )
        (folder / "decoding.json").write_text(json.dumps({"lm_weight": 3.0, "word_score": 30.0}))
        model, log_probs = undecided(folder)

        def text(**options: object) -> str:
            return make_decode(model, plan_search(model.path, DecodeOptions(**options)))([log_probs])[0].text

        assert "FOX" in text().split()
        assert "FOX" not in text(greedy=True).split()
        assert "FOX" not in text(lm="none", beam_size=10).split()
        assert "FOX" in text(lm=folder / "lm.arpa", beam_size=10).split()
        (folder / "decoding.json").write_text("{")
        with pytest.raises(ModelError, match=r"decoding\.json is damaged"):
            asr.load_model(folder)

    def test_unknown_options(self, tiny_model):
        with pytest.raises(UsageError, match="beams"):
            asr.load_model(tiny_model, precision="float32", beams=3)
        with pytest.raises(UsageError, match="greedy"):
            asr.load_model(tiny_model, precision="float32", greedy=True, beam_size=3)


class TestPrecision:
    @pytest.mark.parametrize("precision", ["bfloat16", "int8"])
    def test_less_of_it_changes_little(self, tiny_model, recognizer, precision):
        from asr.audio.segmentation import Chunk
        from asr.transcription.reader import RequestChunk

        if precision == "int8" and not int8_is_fast(torch.device("cpu")):
            pytest.skip("the processor has no AVX2")
        batch = [RequestChunk(0, Chunk(0, noisy(4.0 + seed, seed))) for seed in range(3)]
        quick = asr.load_model(tiny_model, precision=precision, device="cpu")
        for exact, near in zip(recognizer.emissions(batch), quick.emissions(batch), strict=True):
            assert near.shape == exact.shape
            assert 0 < np.abs(np.exp(near) - np.exp(exact)).max() < 0.5
            assert (near.argmax(axis=1) == exact.argmax(axis=1)).mean() > 0.8

    def test_unknown(self, tiny_model):
        with pytest.raises(UsageError, match="float16"):
            asr.load_model(tiny_model, precision="float16")


def test_the_first_segment_comes_when_half_a_minute_has_been_read(recognizer) -> None:
    heard, samples = threading.Event(), noisy(100.0, 4)

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(samples), 16000):
            if start >= 30 * 16000:
                assert heard.wait(220), "half a minute was read, and nothing came"
            yield samples[start : start + 16000]

    for _ in recognizer.stream(blocks(), words=False, punctuation=False):
        heard.set()
    assert heard.is_set()


def test_a_short_recording_does_not_wait_for_a_long_one(recognizer) -> None:
    heard = threading.Event()

    def long() -> Iterator[np.ndarray]:
        for number in range(20):
            yield noisy(10.0, number)
        assert heard.wait(100), "the short one waits"

    requests = [Request(long(), "long"), Request(noisy(1.0, 5), "short")]
    names = []
    for outcome in recognizer.transcribe_many(requests, words=False, in_order=False):
        names.append(outcome.name)
        heard.set()
    assert names == ["short", "long"]


@pytest.mark.parametrize("first", [noisy(2.0, 5), np.zeros(0, np.float32)], ids=["sound", "nothing"])
def test_what_is_done_does_not_wait_for_requests_to_come(recognizer, first: np.ndarray) -> None:
    heard = threading.Event()

    def requests() -> Iterator[Request]:
        yield Request(first, "first")
        assert heard.wait(20), "the first waits"
        yield Request(noisy(1.0, 6), "second")

    for _ in recognizer.transcribe_many(requests(), words=False, in_order=False):
        heard.set()


def test_a_segment_does_not_wait_for_a_source_that_pauses(recognizer) -> None:
    told: list[Segment] = []

    def blocks() -> Iterator[np.ndarray]:
        for number in range(6):  # chunks of 5 s; the first is cut when 28 s have been read, the second 8 s later
            yield np.concatenate([noisy(4.5, number), np.zeros(40000, np.float32)])
        until = time.monotonic() + 20
        while len(told) < 2:
            assert time.monotonic() < until, "the second segment waits"
            time.sleep(0.05)

    for segment in recognizer.stream(blocks(), words=False, punctuation=False):
        told.append(segment)


def test_reading_goes_on_while_the_network_is_at_work(tiny_model, monkeypatch) -> None:
    """A pause of the source must not be time to wait for what is at work: cores would then wait for the reader."""
    recognizer = asr.load_model(tiny_model, precision="float32", threads=2)
    read_on = threading.Event()
    search = recognizer.search

    def waits(batch: list[RequestChunk], views: Any, words: bool) -> list[Segment | None]:
        assert read_on.wait(100), "nobody reads while the first window is at work"
        return search(batch, views, words)

    def blocks() -> Iterator[np.ndarray]:
        for number in range(60):
            time.sleep(0.02)
            if number == 34:  # far more than the first window
                read_on.set()
            yield np.concatenate([noisy(2.0, number), np.zeros(16000, np.float32)])

    monkeypatch.setattr(recognizer, "search", waits)
    monkeypatch.setattr("asr.transcription.recognizer.AudioReader", partial(AudioReader, ahead=1.0))
    (outcome,) = recognizer.transcribe_many([Request(blocks(), "slow")], words=False)
    assert isinstance(outcome, Transcript)
    assert outcome.duration == 180.0


def test_progress_comes_to_the_seconds_of_sound(recognizer) -> None:
    done: list[float] = []
    requests = [Request(noisy(3.0, 1), "a"), Request(np.zeros(16000, np.float32), "b"), Request(noisy(50.0, 2), "c")]
    outcomes = list(recognizer.transcribe_many(requests, words=False, on_progress=done.append))
    assert sum(done) == pytest.approx(sum(outcome.duration for outcome in outcomes), abs=0.01)


def test_segments_are_told_as_they_are_ready(recognizer) -> None:
    told: list[Segment] = []
    (outcome,) = recognizer.transcribe_many([Request(noisy(50.0, 2), "c")], on_segment=told.append)
    assert tuple(told) == outcome.segments


@pytest.mark.parametrize("threads", [0, -1])
def test_without_threads_nothing_is_done(tiny_model, threads) -> None:
    with pytest.raises(UsageError, match=f"threads must be at least 1, not {threads}"):
        asr.load_model(tiny_model, threads=threads)


def test_precision_is_chosen_or_refused(tiny_model) -> None:
    cpu = torch.device("cpu")
    fastest = "int8" if int8_is_fast(cpu) else "bfloat16" if bfloat16_is_fast(cpu) else "float32"
    assert asr.load_model(tiny_model, device="cpu").precision == fastest
    if not int8_is_fast(cpu):
        with pytest.raises(UsageError, match="built for it"):
            asr.load_model(tiny_model, device="cpu", precision="int8")
    assert asr.load_model(tiny_model, device="cpu", precision="float32").precision == "float32"
    with pytest.raises(UsageError, match="auto, float32, bfloat16 or int8, not 'int4'"):
        asr.load_model(tiny_model, precision="int4")
