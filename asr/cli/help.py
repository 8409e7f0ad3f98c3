"""Help in groups, in plain text: rich would draw boxes, and cost a tenth of a second before every word."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

TEXT = "Text"
SEARCH = "Search"
MACHINE = "Machine"


class GroupedCommand(TyperCommand):
    """A command whose options are listed by the group (`rich_help_panel`) that each names."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group, in the order of their first options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def show_version(wanted: bool) -> None:
    """What `asr --version` does."""
    if wanted:
        from asr import __version__

        typer.echo(f"asr {__version__}")
        raise typer.Exit
