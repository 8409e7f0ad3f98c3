"""The result of scoring: one object that carries counts and alignments, from which every view is derived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from asr.errors import DataError, UsageError
from asr.scoring.alignment import (
    ALIGNERS,
    LETTERS,
    Aligner,
    Counts,
    Edit,
    Pair,
    TimedWord,
    align_texts,
    count_characters,
    iterate_pairs,
    total,
)
from asr.scoring.formats import is_number

_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True, slots=True)
class ScoredUtterance:
    """One reference with its hypothesis, both as scored: normalized, words parted by one space.

    `fields` holds what the manifest knows beyond the text (`duration` in seconds, `audio_filepath`, `level_db`, …).
    `times` are the bounds of every word of the hypothesis in seconds, or empty where they are not known.
    """

    id: str
    reference: str
    hypothesis: str
    edits: tuple[Edit, ...]
    words: Counts
    characters: Counts
    letters: Counts
    speaker: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    times: tuple[tuple[float, float], ...] = ()

    def number(self, field: str) -> float | None:
        """The field as a finite number; None where it is missing or something else."""
        value = self.fields.get(field)
        return float(value) if is_number(value) else None

    @property
    def operations(self) -> str:
        """The alignment as one letter a column: C correct, S substituted, D deleted, I inserted."""
        return "".join(LETTERS[pair.kind] for pair in self.pairs)

    @property
    def pairs(self) -> list[Pair]:
        """The whole alignment, column by column."""
        return list(iterate_pairs(self.reference.split(), self.hypothesis.split(), self.edits))


@dataclass(frozen=True)
class Score:
    """Counts over a corpus, and the aligned utterances behind them.

    `words`, `characters` (spaces included, as jiwer counts them) and `letters` (spaces left out) are sums over all
    utterances. `raw_words` counts the words of the same texts without the normalizer; `case_folded` says that letter
    case was left out, as `sclite` does.
    """

    utterances: Sequence[ScoredUtterance]
    normalizer: str = "none"
    aligner: Aligner = "levenshtein"
    raw_words: Counts | None = None
    case_folded: bool = False

    @cached_property
    def words(self) -> Counts:
        """Counts of words over the corpus."""
        return total(utterance.words for utterance in self.utterances)

    @cached_property
    def characters(self) -> Counts:
        """Counts of characters over the corpus, the spaces between words included."""
        return total(utterance.characters for utterance in self.utterances)

    @cached_property
    def letters(self) -> Counts:
        """Counts of characters over the corpus, spaces left out."""
        return total(utterance.letters for utterance in self.utterances)

    @property
    def wer(self) -> float:
        """Word error rate, a fraction: all errors over all reference words."""
        return self.words.error_rate

    @property
    def cer(self) -> float:
        """Character error rate, a fraction, spaces included."""
        return self.characters.error_rate

    @property
    def cer_without_spaces(self) -> float:
        """Character error rate, a fraction, spaces left out."""
        return self.letters.error_rate

    @property
    def mer(self) -> float:
        """Match error rate of words, a fraction."""
        return self.words.match_error_rate

    @property
    def wil(self) -> float:
        """Word information lost, a fraction."""
        return self.words.information_lost

    @property
    def utterances_with_errors(self) -> int:
        """How many utterances have at least one word error."""
        return sum(1 for utterance in self.utterances if utterance.edits)

    @property
    def utterance_error_rate(self) -> float:
        """Share of utterances with at least one word error, a fraction."""
        return self.utterances_with_errors / max(len(self.utterances), 1)


def score(
    references: Iterable[str] | str,
    hypotheses: Iterable[str] | str,
    *,
    normalizer: str | Sequence[str] = "none",
    aligner: Aligner = "levenshtein",
    ids: Iterable[str] | None = None,
    speakers: Iterable[str | None] | None = None,
    fields: Iterable[Mapping[str, Any]] | None = None,
    times: Iterable[Sequence[TimedWord]] | None = None,
    case_sensitive: bool = False,
) -> Score:
    """Score `hypotheses` against `references`, pair by pair.

    `normalizer` names one of `asr.text`'s normalizers, or several to be applied in turn, to both sides. `ids`,
    `speakers`, `fields` and the `times` of the hypotheses' words run beside the texts. An empty reference counts the
    words of its hypothesis as insertions; an empty hypothesis counts the words of its reference as deletions. The
    aligner `nist` takes a for A, as `sclite` does, unless `case_sensitive`, its option `-s`.

    Raises `DataError` when the lists differ in length, `UsageError` for an unknown normalizer or aligner.
    """
    references, hypotheses = _listed(references), _listed(hypotheses)
    size = len(references)
    if len(hypotheses) != size:
        raise DataError(
            f"{size} references but {len(hypotheses)} hypotheses", "Pair them by id, or mend the shorter list."
        )
    if aligner not in ALIGNERS:
        raise UsageError(f"unknown aligner {aligner!r}", f"Choose one of {', '.join(ALIGNERS)}.")
    names = _beside("ids", ids, size, [str(number) for number in range(1, size + 1)])
    speakers = _beside("speakers", speakers, size, [None] * size)
    fields = _beside("fields", fields, size, [{}] * size)
    times = _beside("times", times, size, [()] * size)
    folded = aligner == "nist" and not case_sensitive
    fold: Callable[[str], str] = fold_case if folded else str
    normalizers = [name for name in dict.fromkeys(_listed(normalizer)) if name != "none"]
    normalize = compose(normalizers)
    raw = None
    if normalizers:
        raw = total(each.counts for each in align_texts([*map(fold, references)], [*map(fold, hypotheses)], aligner))
        references = normalize_texts(normalize, references, names, "reference")
        hypotheses = normalize_texts(normalize, hypotheses, names, "hypothesis")
    references, hypotheses = [*map(fold, references)], [*map(fold, hypotheses)]
    utterances = []
    alignments = align_texts(references, hypotheses, aligner)
    for name, alignment, speaker, known, words in zip(names, alignments, speakers, fields, times, strict=True):
        reference, hypothesis = " ".join(alignment.reference), " ".join(alignment.hypothesis)
        utterance = ScoredUtterance(
            id=name,
            reference=reference,
            hypothesis=hypothesis,
            edits=tuple(alignment.edits),
            words=alignment.counts,
            characters=count_characters(reference, hypothesis),
            letters=count_characters("".join(alignment.reference), "".join(alignment.hypothesis)),
            speaker=speaker,
            fields=known,
            times=_bounds(words, normalize, hypothesis),
        )
        utterances.append(utterance)
    return Score(utterances, " + ".join(normalizers) or "none", aligner, raw, folded)


def fold_case(text: str) -> str:
    """`text` in small letters, as `sclite` compares it: those of ASCII alone."""
    return text.translate(_LOWER)


def compose(names: str | Sequence[str]) -> Callable[[str], str]:
    """One normalizer after the other; none leaves the text as it is. Raises `UsageError` for an unknown name."""
    from asr.text.normalize import get_normalizer

    normalizers = [get_normalizer(name) for name in _listed(names)]

    def normalize(text: str) -> str:
        for each in normalizers:
            text = each(text)
        return text

    return normalize


def _bounds(words: Sequence[TimedWord], normalize: Callable[[str], str], text: str) -> tuple[tuple[float, float], ...]:
    """Start and end of every word of a hypothesis; a word that the normalizer parted gives its bounds to all parts."""
    bounds = [(start, end) for start, end, word in words for _ in normalize_word(normalize, word).split()]
    return tuple(bounds) if len(bounds) == len(text.split()) else ()


def normalize_word(normalize: Callable[[str], str], word: str) -> str:
    """`word` under a normalizer, which may part it into several; what cannot be written stays as it is."""
    try:
        return normalize(word)
    except DataError:
        return word


def normalize_texts(normalize: Callable[[str], str], texts: Sequence[str], ids: Sequence[str], side: str) -> list[str]:
    """`texts` under a normalizer. What it cannot write is an error in a reference, naming the utterance.

    In a hypothesis, such a word stays as it is and so counts as wrong: one stray letter that a recognizer invents
    must not keep the other utterances from being scored.
    """
    results = []
    for identity, text in zip(ids, texts, strict=True):
        try:
            results.append(normalize(text))
        except DataError as error:
            if side == "reference":
                raise DataError(f"reference of utterance {identity}: {error.message}", error.hint) from error
            results.append(" ".join(normalize_word(normalize, word) for word in text.split()))
    return results


def _listed(texts: Iterable[str] | str) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _beside(what: str, values: Iterable[Any] | None, size: int, default: list[Any]) -> list[Any]:
    if values is None:
        return default
    listed = list(values)
    if len(listed) != size:
        raise DataError(f"{len(listed)} {what} for {size} references")
    return listed
