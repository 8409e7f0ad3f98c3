"""Any number of systems: ranked, compared with Holm's correction, and each pair opens as a comparison."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from asr.errors import DataError, UsageError
from asr.scoring.files import board_of_files, report_on_files
from asr.scoring.report import Board, build_board, build_report
from asr.scoring.result import score
from asr.scoring.views import render, write_board
from asr.scoring.views.terminal import print_board
from tests.scoring.conftest import Invented


@pytest.fixture
def board(invented: Invented) -> Board:
    lines = invented.system.read_text().splitlines()
    (invented.system.parent / "same.trn").write_text("\n".join(lines))
    (invented.system.parent / "worst.trn").write_text("\n".join(f"UH {line}" for line in lines))
    names = ["old", "gru", "same", "worst"]
    paths = [invented.system.parent / f"{name}.trn" for name in names]
    return board_of_files(invented.manifest, paths, names=["Old", "GRU", "Same", "Worst"], by=["room"])


def test_systems_are_ranked_and_compared(board: Board, invented: Invented) -> None:
    assert [report.name for report in board.reports] == ["GRU", "Same", "Old", "Worst"]
    assert len(board.differences) == 6
    alone = report_on_files(invented.manifest, invented.system, against=invented.baseline)
    assert alone.comparison is not None
    difference = board.between(board.reports[0], board.reports[2])
    assert difference.comparison.difference == alone.comparison.difference
    assert alone.comparison.p_value <= difference.comparison.p_value <= 1
    assert "Holm" in difference.report.conclusion
    assert "Holm" not in alone.conclusion
    same = board.between(board.reports[0], board.reports[1])
    assert (same.comparison.difference, same.comparison.p_value, same.comparison.significant) == (0, 1, False)
    assert board.between(board.reports[0], board.reports[3]).comparison.significant


def test_what_only_a_correction_makes_chance_is_chance_on_every_page() -> None:
    """The second system is better by a margin that convinces alone, and not among five."""
    right, wrong = "a b c d e f", "x b c d e f"
    board = build_board(
        [
            build_report(
                score([right] * 200, [right] * (24 * n) + [wrong] * count + [right] * (200 - count - 24 * n)),
                name=f"s{n}",
            )
            for n, count in enumerate([24, 24, 24, 24, 10])
        ]
    )
    cured = [each for each in board.differences if each.comparison.matched_pairs.p_value < 0.05]
    assert cured
    for difference in cured:
        assert difference.comparison.p_value > 0.05
        assert not difference.comparison.significant
        assert "may be chance" in difference.report.conclusion
        assert "may be chance" in render(difference.report, "html", Path())


def test_terminal(board: Board) -> None:
    file = io.StringIO()
    print_board(board, Console(file=file, highlight=False), by=("room",))
    text = file.getvalue()
    assert text.startswith("4 systems on 240 utterances\n  GRU ")
    assert "Same against GRU" not in text.split("Differences")[0]
    assert "GRU against Worst" in text
    assert "chance does not explain it" in text
    assert "by room: GRU, Same, Old, Worst" in text


def test_json_and_pages(board: Board, tmp_path: Path) -> None:
    write_board(board, tmp_path / "out" / "board.json")
    data = json.loads((tmp_path / "out" / "board.json").read_text())
    assert (data["best"], data["wer"]) == ("GRU", board.reports[0].score.wer)
    assert [system["name"] for system in data["systems"]] == ["GRU", "Same", "Old", "Worst"]
    assert sum(row["systems"]["Old"]["errors"] for row in data["utterances"]) == board.reports[2].score.words.errors
    write_board(board, tmp_path / "out" / "board.html")
    page = (tmp_path / "out" / "board.html").read_text()
    assert page.count("<svg") == 4 + 4 * len(board.reports[0].breakdowns)
    for first, second in [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]:
        assert f'href="board-{first}-{second}.html"' in page
        assert (tmp_path / "out" / f"board-{first}-{second}.html").exists()
    pair = (tmp_path / "out" / "board-1-3.html").read_text()
    assert "<h2>Compared with Old</h2>" in pair


def test_names_are_told_apart_and_counted(invented: Invented, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "gru.trn").write_text(invented.system.read_text())
    paths = [invented.system, tmp_path / "x" / "gru.trn"]
    names = {report.name for report in board_of_files(invented.manifest, paths).reports}
    assert names == {f"{tmp_path.name}/gru.trn", "x/gru.trn"}
    twice = board_of_files(invented.manifest, [invented.system, invented.system])
    assert len({report.name for report in twice.reports}) == 2
    with pytest.raises(UsageError, match="1 names for 2 systems"):
        board_of_files(invented.manifest, paths, names=["a"])
    with pytest.raises(UsageError, match="same name"):
        board_of_files(invented.manifest, paths, names=["a", "a"])


def test_systems_that_lack_different_utterances_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("a (u1)\nb (u2)\nc (u3)\n")
    (tmp_path / "h.trn").write_text("a (u1)\nb (u2)\n")
    (tmp_path / "g.trn").write_text("a (u1)\nc (u3)\n")
    with pytest.raises(DataError, match="lack hypotheses for different utterances"):
        board_of_files(tmp_path / "r.trn", [tmp_path / "h.trn", tmp_path / "g.trn"], missing="skip")
