"""Help in groups, in plain text: rich would draw boxes, and cost a tenth of a second before every word."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

GROUPS = {
    "Input": "reference_format hypothesis_format encoding speaker_from",
    "Output": "formats output out skip_existing worst json html embed_audio csv pra sys_table quiet",
    "Search": "greedy fast beam_size beam views lm lm_weight word_score hotwords rescore rescore_weight "
    "rescore_word_score threshold nbest adapt",
    "Text": "channel case words punctuation numbers",
    "Machine": "device threads precision engine",
}
"""Title of a group → the parameters of commands that stand in it; others are plain options."""


class GroupedCommand(TyperCommand):
    """A command of many options, listed by `GROUPS`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group that has options."""
        group_of = {name: title for title, names in GROUPS.items() for name in names.split()}
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Arguments", "Options", *GROUPS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                groups["Arguments" if is_argument else group_of.get(str(parameter.name), "Options")].append(record)
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
