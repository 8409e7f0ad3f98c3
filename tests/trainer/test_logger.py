"""The picture of a run has what was measured, and no panel for what was not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr.trainer.logger import draw_curves

STEP = {"kind": "step", "update": 50, "epoch": 0, "audio_hours": 1.0, "learning_rate": 0.001, "loss": 2.0}
EPOCH = STEP | {"kind": "epoch", "epoch": 1, "update": 60}


@pytest.mark.parametrize(
    ("records", "panels"),
    [
        ([], []),
        ([{"kind": "skip", "update": 1, "epoch": 0}], []),
        ([STEP], ["hours of speech heard"]),
        ([EPOCH], ["hours of speech heard"]),
        ([EPOCH | {"audio_hours": 0.0}], ["updates"]),
        ([STEP, EPOCH | {"validation_wer": 0.5, "validation_cer": 0.2}], ["", "hours of speech heard"]),
        ([EPOCH | {"audio_hours": 0.0, "validation_perplexity": 90.0}], ["", "updates"]),
        (
            [EPOCH | {"phone_loss": 1.1, "validation_phone_loss": 1.2, "validation_wer": 0.5}],
            ["", "hours of speech heard"],
        ),
    ],
)
def test_panels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[dict], panels: list[str]) -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="needs matplotlib")
    drawn: list[str] = []
    save = figure.Figure.savefig

    def look(self: object, *arguments: object, **options: object) -> None:
        drawn.extend(axes.get_xlabel() for axes in self.axes if axes.get_legend() is not None)  # type: ignore[attr-defined]
        assert all(line.get_xdata().size for axes in self.axes for line in axes.lines)  # type: ignore[attr-defined]
        save(self, *arguments, **options)

    monkeypatch.setattr(figure.Figure, "savefig", look)
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    picture = draw_curves(tmp_path)
    assert drawn == panels
    assert (picture is None) == (not panels)
