"""`python -m asr`: the `asr` command."""

from asr.cli.main import command

command()
