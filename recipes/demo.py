"""`make demo`: transcribe the samples with the bundled model and say how far each is from its text.

Transcripts go to standard output; the recording's name, the reference and the word error rate to standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import asr
from asr.cli.main import plain_errors
from asr.errors import DataError


def main(folder: Path, model: str = "default") -> None:
    """Transcribe every recording of `folder` that has a text beside it. Raises `DataError` when there is none."""
    recordings = sorted(
        path for path in folder.iterdir() if path.suffix != ".txt" and path.with_suffix(".txt").exists()
    )
    if not recordings:
        raise DataError(f"no recordings with texts in {folder}")
    recognizer = asr.load_model(model)
    references, hypotheses = [], []
    for recording in recordings:
        reference = recording.with_suffix(".txt").read_text(encoding="utf-8").strip()
        _remark(f"\n{recording}")
        hypothesis = recognizer.transcribe(recording).text
        print(hypothesis, flush=True)
        _remark(f"  reference: {reference}\n  WER {_wer([reference], [hypothesis])}")
        references.append(reference)
        hypotheses.append(hypothesis)
    _remark(f"\nWER of all {len(recordings)}: {_wer(references, hypotheses)}")


def _remark(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _wer(references: list[str], hypotheses: list[str]) -> str:
    result = asr.score(references, hypotheses, normalizer="librispeech")
    return f"{100 * result.wer:.1f} % ({result.words.errors} of {result.words.reference} words)"


if __name__ == "__main__":
    with plain_errors():
        main(Path(sys.argv[1]), *sys.argv[2:3])
