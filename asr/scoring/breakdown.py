"""Where it hurts: error rates by speaker, by any field, by length and pace of speech; the words that go wrong.

Among them are errors that nobody would hear: letter case and punctuation, and the option that leaves them out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asr.errors import AsrError, UsageError
from asr.scoring.alignment import Counts, align_texts, total
from asr.scoring.formats import is_number
from asr.scoring.result import Score, ScoredUtterance, compose, fold_case, normalize_texts

BINS = 6
_CATEGORIES = 12  # a numeric field with no more values than this is taken as names, not as a scale
Value = float | str | None


@dataclass(frozen=True)
class Group:
    """The utterances that share a value, or a stretch of values. `deviation` is the standard error of the WER."""

    label: str
    utterances: int
    words: Counts
    deviation: float


@dataclass(frozen=True)
class Breakdown:
    """Error rates along one field; `unit` is that of the values."""

    field: str
    unit: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Confusions:
    """Errors by word, most frequent first; `wrong` counts a reference word that was replaced or deleted."""

    substitutions: Counter[tuple[str, str]]
    deletions: Counter[str]
    insertions: Counter[str]
    wrong: Counter[str]
    occurrences: Counter[str]


@dataclass(frozen=True)
class VocabularyShare:
    """Errors on reference words outside a vocabulary: how many such words, how many of them wrong, of all wrong."""

    words: int
    outside: int
    wrong: int
    wrong_outside: int

    @property
    def share(self) -> float:
        """Share of the wrong reference words (S + D) that are outside the vocabulary, a fraction."""
        return self.wrong_outside / max(self.wrong, 1)


def _duration(utterance: ScoredUtterance) -> float | None:
    return utterance.number("duration") or None


def _rate(utterance: ScoredUtterance) -> float | None:
    duration = _duration(utterance)
    return utterance.words.reference / duration if duration else None


_DERIVED: dict[str, tuple[str, Callable[[ScoredUtterance], Value]]] = {
    "speaker": ("", lambda utterance: utterance.speaker),
    "duration": ("s", _duration),
    "speaking_rate": ("words/s", _rate),
    "level_db": ("dBFS", lambda utterance: utterance.number("level_db")),
}


def break_down(score: Score, field: str) -> Breakdown:
    """Group `score` by `field`: names by value, numbers into stretches of about equally many utterances.

    Raises `UsageError` when no utterance has the field.
    """
    unit, value_of = _DERIVED.get(field, ("", lambda utterance: utterance.fields.get(field)))
    values = [value_of(utterance) for utterance in score.utterances]
    known = [value for value in values if value is not None]
    if not known:
        found = sorted({name for utterance in score.utterances for name in utterance.fields} | {"speaker"})
        raise UsageError(f"no utterance has the field {field!r}", f"Fields of the references: {', '.join(found)}.")
    numeric = field != "speaker" and all(map(is_number, known))
    if numeric and (field in _DERIVED or len(set(known)) > _CATEGORIES):
        return Breakdown(field, unit, tuple(_stretches(score.utterances, values)))
    members: dict[str, list[ScoredUtterance]] = {}
    for utterance, value in zip(score.utterances, values, strict=True):
        members.setdefault("(not given)" if value is None else _label(value), []).append(utterance)
    groups = [_group(label, listed) for label, listed in members.items()]
    groups.sort(key=lambda group: (-group.words.error_rate, group.label))
    return Breakdown(field, unit, tuple(groups))


def available(score: Score) -> list[str]:
    """The standard breakdowns that the fields of `score` allow."""
    return [
        field
        for field, (_, value_of) in _DERIVED.items()
        if any(value_of(utterance) is not None for utterance in score.utterances)
    ]


def count_confusions(score: Score) -> Confusions:
    """Count the errors of `score` by word."""
    pairs: Counter[tuple[str, str]] = Counter()
    deleted: Counter[str] = Counter()
    inserted: Counter[str] = Counter()
    occurrences: Counter[str] = Counter()
    for utterance in score.utterances:
        reference = utterance.reference.split()
        occurrences.update(reference)
        if not utterance.edits:
            continue
        hypothesis = utterance.hypothesis.split()
        for kind, i, j in utterance.edits:
            if kind == "replace":
                pairs[reference[i], hypothesis[j]] += 1
            elif kind == "delete":
                deleted[reference[i]] += 1
            else:
                inserted[hypothesis[j]] += 1
    wrong = Counter(deleted)
    for (word, _), count in pairs.items():
        wrong[word] += count
    return Confusions(_ordered(pairs), _ordered(deleted), _ordered(inserted), _ordered(wrong), occurrences)


def worst(score: Score, limit: int = 20) -> list[ScoredUtterance]:
    """The utterances with most word errors; of equally many, those with the higher rate first."""
    touched = [utterance for utterance in score.utterances if utterance.edits]
    touched.sort(key=lambda utterance: (-utterance.words.errors, -utterance.words.error_rate, utterance.id))
    return touched[:limit]


def outside_vocabulary(score: Score, vocabulary: Collection[str]) -> VocabularyShare:
    """The share of errors on reference words that are not in `vocabulary`, its letter case folded as theirs is."""
    confusions = count_confusions(score)
    known = set(map(fold_case, vocabulary)) if score.case_folded else vocabulary
    unknown = [word for word in confusions.occurrences if word not in known]
    return VocabularyShare(
        words=confusions.occurrences.total(),
        outside=sum(confusions.occurrences[word] for word in unknown),
        wrong=confusions.wrong.total(),
        wrong_outside=sum(confusions.wrong[word] for word in unknown),
    )


def _stretches(utterances: Sequence[ScoredUtterance], values: Sequence[Any]) -> Iterable[Group]:
    """About `BINS` stretches with equally many utterances each; equal values stay together."""
    known = [
        (float(value), utterance) for value, utterance in zip(values, utterances, strict=True) if value is not None
    ]
    known.sort(key=lambda item: item[0])
    parts = []
    start = 0
    for number in range(1, BINS + 1):
        end = max(start, round(len(known) * number / BINS))
        while 0 < end < len(known) and known[end][0] == known[end - 1][0]:
            end += 1
        if end > start:
            parts.append(known[start:end])
        start = end
    for label, part in zip(_labels([(part[0][0], part[-1][0]) for part in parts]), parts, strict=True):
        yield _group(label, [utterance for _, utterance in part])
    rest = [utterance for value, utterance in zip(values, utterances, strict=True) if value is None]
    if rest:
        yield _group("(not given)", rest)


def _labels(stretches: Sequence[tuple[float, float]]) -> list[str]:
    """Lowest and highest values in as few digits as tell the stretches apart."""
    labels: list[str] = []
    for form in (".1f", ".2f", ".3f", ".4f", ".5f", ".6f", ".17g"):
        ends = [(f"{low:{form}}", f"{high:{form}}") for low, high in stretches]
        labels = [low if low == high else f"{low} to {high}" for low, high in ends]
        if len(set(labels)) == len(labels):
            break
    return labels


def _group(label: str, utterances: Sequence[ScoredUtterance]) -> Group:
    words = total(utterance.words for utterance in utterances)
    count = len(utterances)
    residuals = sum(
        (utterance.words.errors - words.error_rate * utterance.words.reference) ** 2 for utterance in utterances
    )
    deviation = math.sqrt(count / (count - 1) * residuals) / max(words.reference, 1) if count > 1 else 0.0
    return Group(label, count, words, deviation)


def _ordered(counter: Counter[Any]) -> Counter[Any]:
    """Most frequent first, ties by word, so that reports do not depend on the order of utterances."""
    return Counter(dict(sorted(counter.items(), key=lambda item: (-item[1], item[0]))))


def _label(value: Any) -> str:
    """All digits of a number, so that no two are alike."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


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
    errors = score.words.errors
    if score.normalizer != "none" or not errors:
        return None
    pairs = confusions.substitutions.items()
    case = sum(count for (left, right), count in pairs if left.casefold() == right.casefold())
    marks = sum(count for (left, right), count in pairs if _letters(left) == _letters(right)) - case
    marks += sum(
        count
        for counter in (confusions.deletions, confusions.insertions)
        for word, count in counter.items()
        if not _letters(word)
    )
    if case + marks < MOST * errors:
        return None
    what = " or ".join(name for name, count in [("letter case", case), ("punctuation", marks)] if count)
    for name in _NORMALIZERS:
        wer = _error_rate_under(name, score)
        if wer is not None:
            return FormattingErrors(case + marks, errors, what, name, wer)
    return FormattingErrors(case + marks, errors, what, "", score.wer)


def _letters(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _error_rate_under(name: str, score: Score) -> float | None:
    """None where the normalizer is not installed or cannot write the references."""
    ids = [utterance.id for utterance in score.utterances]
    try:
        normalize = compose(name)
        left = normalize_texts(normalize, [each.reference for each in score.utterances], ids, "reference")
        right = normalize_texts(normalize, [each.hypothesis for each in score.utterances], ids, "hypothesis")
    except AsrError:
        return None
    return total(each.counts for each in align_texts(left, right, score.aligner)).error_rate
