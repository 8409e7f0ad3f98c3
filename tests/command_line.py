"""The commands of `asr`, as the command line knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from asr.cli.main import app


def _commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for own, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{own} ")
        else:
            yield f"{name}{own}", command


COMMANDS: dict[str, Any] = dict(_commands(get_command(app)))
"""Name → command; those within others have the names of both."""
