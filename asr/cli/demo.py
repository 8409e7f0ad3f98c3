"""`make demo`: transcribe the samples with the bundled model and say how far each is from its text.

Transcripts go to standard output; the recording's name, the reference and the word error rate to standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Transcribe every recording of `folder` that has a text beside it. Raises `DataError` when there is none."""
    import asr
    from asr.errors import DataError

    recordings = sorted(
        path for path in folder.iterdir() if path.suffix != ".txt" and path.with_suffix(".txt").exists()
    )
    if not recordings:
        raise DataError(f"no recordings with texts in {folder}")
    recognizer = asr.load_model()
    references, hypotheses = [], []
    for recording in recordings:
        references.append(recording.with_suffix(".txt").read_text(encoding="utf-8").strip())
        print(f"\n{recording}", file=sys.stderr, flush=True)
        hypotheses.append(recognizer.transcribe(recording).text)
        print(hypotheses[-1], flush=True)
        print(
            f"  reference: {references[-1]}\n  WER {_wer(references[-1:], hypotheses[-1:])}",
            file=sys.stderr,
            flush=True,
        )
    print(f"\nWER of all {len(recordings)}: {_wer(references, hypotheses)}", file=sys.stderr)


def _wer(references: list[str], hypotheses: list[str]) -> str:
    import asr

    result = asr.score(references, hypotheses, normaliser="librispeech")
    return f"{100 * result.wer:.1f} % ({result.words.errors} of {result.words.reference} words)"


if __name__ == "__main__":
    from asr.cli.main import plain_errors

    with plain_errors():
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/samples"))
