"""Errors that a person reads: what is wrong, and how to mend it.

Every room may import this module and it imports nothing, so that any layer can speak to the user plainly.
The command line prints `message` and `hint` and exits with `exit_code`; anything else that escapes is a bug.
"""

from __future__ import annotations


class AsrError(Exception):
    """Something the user can mend. `message` names the file, utterance or key; `hint` says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(AsrError):
    """The command or the configuration was asked for something it does not offer (exit code 2)."""

    exit_code = 2


class AudioError(AsrError):
    """A recording cannot be read; the message names the file and the reason."""


class DataError(AsrError):
    """A corpus, manifest, transcript or reference file is malformed; the message names file and line."""


class ModelError(AsrError):
    """A model folder, checkpoint or language model is missing, torn, or does not fit."""
