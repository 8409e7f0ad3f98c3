"""The picture of a tuning: word error rate over language model weight and word bonus."""

from __future__ import annotations

from pathlib import Path

from asr.evaluation.tuning import Tuning
from asr.files import write_whole


def draw_surface(tuning: Tuning, path: Path) -> None:
    """Write the grid as a coloured table, SVG or PNG by the name of `path`; the best point is framed.

    Rates more than half as large again as the best share one colour: the valley is what matters.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    percent = 100 * tuning.wer
    rows, columns = percent.shape
    figure, axes = pyplot.subplots(figsize=(1.5 + 0.8 * columns, 1.5 + 0.5 * rows), layout="constrained")
    image = axes.imshow(percent, cmap="viridis_r", vmax=1.5 * percent.min(), origin="lower", aspect="auto")
    for row in range(rows):
        for column in range(columns):
            dark = percent[row, column] > 1.25 * percent.min()
            label = f"{percent[row, column]:.1f}"
            axes.text(column, row, label, ha="center", va="center", color="white" if dark else "black")
    best_row, best_column = divmod(int(tuning.wer.argmin()), columns)
    axes.add_patch(Rectangle((best_column - 0.5, best_row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2))
    axes.set_xticks(range(columns), [f"{bonus:g}" for bonus in tuning.bonuses])
    axes.set_yticks(range(rows), [f"{weight:g}" for weight in tuning.weights])
    axes.set_xlabel("word bonus")
    axes.set_ylabel("language model weight")
    greedy = f"greedy {100 * tuning.greedy_wer:.1f}, " if tuning.greedy_wer is not None else ""
    axes.set_title(f"WER %: {greedy}best {100 * tuning.best_wer:.1f}")
    figure.colorbar(image, ax=axes, extend="max")
    with write_whole(path, "wb") as file:
        figure.savefig(file, format=path.suffix.lstrip(".") or "png")
    pyplot.close(figure)
