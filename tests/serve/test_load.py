"""More clients than places: nobody is lost, nobody gets another's text, and the memory stays flat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.serving import put_load, start_server
from tests.serve.test_api import SAMPLES


@pytest.mark.slow
def test_forty_clients_for_half_a_minute(tiny_model: Path, recognizer: Any) -> None:
    expected = {path: recognizer.transcribe(path).text for path in SAMPLES}
    process, port = start_server(str(tiny_model), "--queue", "32", "--precision", "float32")
    try:
        load = put_load(process, port, expected, clients=40, seconds=30)
    finally:
        process.terminate()
        assert process.wait(40) == 0
    assert load.lost == load.mixed_up == 0
    assert set(load.statuses) == {200, 429}
    assert load.statuses[200] > 100
    half = [megabytes for at, megabytes in load.memory if at > 10]
    assert max(half) < half[0] + 50
