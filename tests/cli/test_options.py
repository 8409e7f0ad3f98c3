"""The options that say how to search are the same ones wherever they are."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from asr.cli.main import app
from asr.cli.options import DecodeArguments, search_options
from asr.transcription.decoder import DecodeOptions

OPTIONS = ["--greedy", "--fast", "--beam", "--views", "--lm", "--lm-weight", "--word-bonus", "--hotword", "--rescore"]


@pytest.mark.parametrize("command", ["transcribe", "evaluate"])
def test_every_command_that_decodes_has_them(command: str) -> None:
    help_text = CliRunner().invoke(app, [command, "--help"]).output
    assert [option for option in OPTIONS if option not in help_text] == []


def test_they_are_the_fields_of_what_they_ask_for() -> None:
    assert [field.name for field in fields(DecodeArguments)] == [field.name for field in fields(DecodeOptions)]
    assert DecodeArguments().decode_options() == DecodeOptions()


def test_what_is_given_arrives_in_one_object() -> None:
    seen = []

    @search_options
    def command(name: Annotated[str, typer.Argument()], search: DecodeArguments = DecodeArguments()) -> None:  # noqa: B008
        seen.append((name, search))

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, ["x", "--fast", "--hotword", "A=2", "--hotword", "B", "--lm-weight", "0.5"])
    assert result.exit_code == 0, result.output
    assert seen == [("x", DecodeArguments(fast=True, hotwords=["A=2", "B"], lm_weight=0.5))]


def test_two_ways_to_search_at_once_are_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["transcribe", "x.wav", "--fast", "--greedy"])
    assert "a fast search is one with a beam of 100" in str(result.exception)
