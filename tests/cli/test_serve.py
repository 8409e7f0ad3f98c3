"""`asr serve`: what the command line makes of a server, which is never started here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from asr.cli.main import app

pytest.importorskip("uvicorn", reason="needs the packages of the extra `serve`")


@pytest.mark.parametrize("given", [".", None])
def test_a_model_has_the_name_of_its_folder(given: str | None, tiny_model: Path, monkeypatch: Any) -> None:
    names = []

    def make_server(service: Any, sock: Any) -> Any:
        sock.close()
        service.close()
        names.append(service.model)
        return SimpleNamespace(address="nowhere", run=lambda: None)

    monkeypatch.setattr("asr.serve.server.make_server", make_server)
    monkeypatch.chdir(tiny_model)
    result = CliRunner().invoke(app, ["serve", "--port", "0", "-m", given or str(tiny_model)])
    assert result.exit_code == 0, result.output
    assert names == [tiny_model.name]


def test_an_upload_without_end_is_no_setting() -> None:
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--max-upload", "inf"])
    assert result.exit_code == 2
