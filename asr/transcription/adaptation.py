"""Speaker adaptation without transcripts: the network gets used to the voices and the room that it is to hear.

It reads some of the recordings, takes what it recognized for true, and learns from that for a moment (self-training; of
the ways that Bell et al. 2021, arXiv 2008.06580, tell of). The language models know better than the network what was
said, so that there is something to learn; and the layer norms alone learn, 6,400 numbers of 8 million, which are enough
for a voice and too few for the errors in what was recognized.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from asr.audio.source import Samples
from asr.corpus.dataset import pad_waveforms
from asr.model.crf import crf_losses
from asr.model.ctc import needed_steps, pad_targets, sequence_losses
from asr.transcription.reader import AudioReader, Request, RequestChunk, batches

if TYPE_CHECKING:
    from asr.model.acoustic import AcousticModel
    from asr.transcription.recognizer import Audio, Recognizer

Item = TypeVar("Item")

LEARNED_SECONDS = 300.0
"""Sound that is learned from at most."""
PASSES = 3
RATE = 0.006
"""Of AdamW. It, the passes and what learns were chosen by measurement (recipes/librispeech/RESULTS.md)."""
TOGETHER = 8
"""Stretches of sound for each update."""


@dataclass(frozen=True)
class Example:
    """A stretch of sound at the network's rate, and the tokens of what was recognized in it."""

    samples: Samples
    tokens: tuple[int, ...]


def adapt(
    recognizer: Recognizer,
    audio: Iterable[Audio | Request],
    seconds: float = LEARNED_SECONDS,
    on_progress: Callable[[float], None] = lambda seconds: None,
) -> Recognizer:
    """A recognizer that has got used to the voices and the room of recordings; the given one stays as it is.

    The recordings need no transcripts. `seconds` of them are heard, and no more are taken than that needs: give many
    in the order of `spread`. Those that cannot be read are left out, and a file object is at its end afterwards. The
    same recordings and threads give the same weights. `on_progress` is told of seconds of sound, each of which is heard
    `1 + PASSES` times.
    """
    requests = (each if isinstance(each, Request) else Request(each) for each in audio)
    examples = list(_first_reading(recognizer, requests, seconds, on_progress))
    return recognizer.with_network(_learned(recognizer, examples, on_progress)) if examples else recognizer


def seconds_to_hear(seconds: float | None) -> float | None:
    """What `on_progress` is told of in all, for recordings of so many seconds."""
    return None if seconds is None else (1 + PASSES) * min(seconds, LEARNED_SECONDS)


def spread(items: Sequence[Item]) -> list[Item]:
    """In an order whose every beginning is evenly spread: by the bits of their numbers, the last one first."""
    bits = len(items).bit_length()
    order = sorted(range(len(items)), key=lambda number: f"{number:0{bits}b}"[::-1])
    return [items[number] for number in order]


def _first_reading(
    recognizer: Recognizer, requests: Iterable[Request], seconds: float, on_progress: Callable[[float], None]
) -> Iterator[Example]:
    rate, network = recognizer.model.sample_rate, recognizer.model.network
    for batch in batches(_beginning(recognizer, requests, seconds), rate):
        for part, hypothesis in zip(batch, recognizer.decode(recognizer.views(batch)), strict=True):
            chunk, tokens = part.chunk, hypothesis.tokens
            own = chunk.samples[chunk.before : len(chunk.samples) - chunk.after]
            # Without its context a chunk may have a step less: too few, once in a while.
            if tokens and needed_steps(tokens) <= int(network.steps(torch.tensor(len(own)))):
                yield Example(own, tokens)
            on_progress(len(chunk.samples) / rate)


def _beginning(recognizer: Recognizer, requests: Iterable[Request], seconds: float) -> list[RequestChunk]:
    """The first chunks of the recordings, up to `seconds` and the end of a chunk."""
    rate = recognizer.model.sample_rate
    chunks: list[RequestChunk] = []
    reader = AudioReader(requests, rate, recognizer.segmentation)
    try:
        for item in reader:
            if isinstance(item, RequestChunk):
                chunks.append(item)
                seconds -= len(item.chunk.samples) / rate
            if seconds <= 0:
                break
    finally:
        reader.close()
    return chunks


def _learned(
    recognizer: Recognizer, examples: Sequence[Example], on_progress: Callable[[float], None]
) -> AcousticModel:
    """A copy of the network that has learned from what was heard."""
    model = recognizer.model
    network = copy.deepcopy(model.network)
    optimizer = torch.optim.AdamW(_prepared(network), lr=RATE, weight_decay=0.0)
    ngram = model.phone_ngram if recognizer.reads_phones else None
    by_length = sorted(examples, key=lambda each: len(each.samples))
    groups = [by_length[start : start + TOGETHER] for start in range(0, len(by_length), TOGETHER)]
    padded = [pad_waveforms([each.samples for each in group]) for group in groups]
    features = [network.features(*(tensor.to(recognizer.device) for tensor in pair)) for pair in padded]
    targets = [pad_targets([each.tokens for each in group]) for group in groups]
    for _ in range(PASSES):
        for (_, lengths), (spectra, frames), wanted in zip(padded, features, targets, strict=True):
            outputs = network.recognize(spectra, frames, recognizer.reads_phones)
            losses = crf_losses(ngram, *outputs, *wanted)[0] if ngram else sequence_losses(*outputs, *wanted)
            optimizer.zero_grad()
            (losses.sum() / wanted[1].sum()).backward()
            optimizer.step()
            on_progress(int(lengths.sum()) / model.sample_rate)
    return network.requires_grad_(False).eval()


def _prepared(network: AcousticModel) -> list[nn.Parameter]:
    """The parameters that learn, of a network that is ready for it: without dropout."""
    learned = []
    network.eval()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("norm" in name)
        learned += [parameter] if parameter.requires_grad else []
    for module in network.modules():
        if isinstance(module, nn.GRU):
            module.train()  # else cuDNN keeps nothing for the way back
    return learned
