from __future__ import annotations

import pytest

from tests.benchmarks import decoders


@pytest.mark.slow
def test_the_comparison_runs_where_no_peer_is_installed(capsys):
    decoders.main(["-n", "2", "--beams", "5", "--only", "asr"])
    printed = capsys.readouterr().out
    assert "beam 5, without language model" in printed
    assert "asr" in printed.splitlines()[-1]
    assert "WER" in printed.splitlines()[-1]
