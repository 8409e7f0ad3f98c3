from __future__ import annotations

from tests.benchmarks import recurrence


def test_the_comparison_runs(capsys):
    recurrence.main(["--units", "4", "--sizes", "2x5", "3x2", "--rounds", "1", "--device", "cpu"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["2x5", "3x2"]
    assert all(float(value) >= 0 for row in rows for value in row[1:])
