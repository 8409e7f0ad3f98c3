"""Errors that nobody would hear: letter case and punctuation, and the option that leaves them out."""

from __future__ import annotations

from dataclasses import dataclass

from asr.errors import AsrError
from asr.scoring.alignment import align_texts
from asr.scoring.breakdown import Confusions
from asr.scoring.counts import Counts
from asr.scoring.result import Score, compose, normalize_texts

MOST = 0.5
_NORMALIZERS = ("librispeech", "whisper")  # the first that can write the references


@dataclass(frozen=True)
class FormattingErrors:
    """How many word errors are `what` (letter case, punctuation), and the WER under `normalizer`, a fraction.

    `normalizer` is empty where none that is installed can write these references.
    """

    errors: int
    of: int
    what: str
    normalizer: str
    wer: float

    def __str__(self) -> str:
        share = f"{self.errors:,} of {self.of:,} errors ({self.errors / self.of * 100:.0f} %) are {self.what} alone"
        if not self.normalizer:
            return f"{share}: --normalizer whisper would leave it out (.venv/bin/pip install -e '.[score]')"
        return f"{share}: with --normalizer {self.normalizer} the WER is {self.wer * 100:.2f} %"


def find_formatting_errors(score: Score, confusions: Confusions) -> FormattingErrors | None:
    """What case and punctuation cost a score without a normalizer, if that is most of its errors."""
    total = score.words.errors
    if score.normalizer != "none" or not total:
        return None
    pairs = confusions.substitutions.items()
    case = sum(count for (left, right), count in pairs if left.casefold() == right.casefold())
    signs = sum(count for (left, right), count in pairs if _letters(left) == _letters(right)) - case
    signs += sum(
        count
        for counter in (confusions.deletions, confusions.insertions)
        for word, count in counter.items()
        if not _letters(word)
    )
    if case + signs < MOST * total:
        return None
    what = " or ".join(name for name, count in [("letter case", case), ("punctuation", signs)] if count)
    for name in _NORMALIZERS:
        wer = _error_rate_under(name, score)
        if wer is not None:
            return FormattingErrors(case + signs, total, what, name, wer)
    return FormattingErrors(case + signs, total, what, "", score.wer)


def _letters(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _error_rate_under(name: str, score: Score) -> float | None:
    """None where the normalizer is not installed or cannot write the references."""
    ids = [utterance.id for utterance in score.utterances]
    try:
        normalize = compose([name])
        left = normalize_texts(normalize, [each.reference for each in score.utterances], ids, "reference")
        right = normalize_texts(normalize, [each.hypothesis for each in score.utterances], ids, "hypothesis")
    except AsrError:
        return None
    return sum((each.counts for each in align_texts(left, right, score.aligner)), Counts()).error_rate
