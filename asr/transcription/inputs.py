"""What the user names (files, folders, patterns, `-`) as a list of recordings."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.errors import AudioError
from asr.transcription.result import Failure

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".sph", ".caf"}
SUFFIXES |= {".m4a", ".mp4", ".aac", ".webm", ".mkv", ".wma", ".amr"}
"""What counts as a recording when a folder is searched; a file that is named itself may be called anything."""


@dataclass(frozen=True)
class Input:
    """One recording: `audio` is its path, or the bytes of standard input; `place` is where its outputs go under -o."""

    audio: str | bytes
    name: str
    place: Path


def collect(arguments: Sequence[str], recursive: bool = False) -> tuple[list[Input], list[Failure]]:
    """The recordings that `arguments` name, each once, and those arguments that name none."""
    found: dict[str, Input] = {}
    failures: list[Failure] = []
    roots: list[Path] = []
    paths: list[Path] = []
    for argument in arguments:
        if argument == "-":
            found["-"] = Input(sys.stdin.buffer.read(), "-", Path("stdin.wav"))
            continue
        try:
            for root, path in _expand(argument, recursive):
                roots.append(root)
                paths.append(path)
        except AudioError as error:
            failures.append(Failure(argument, error))
    base = os.path.commonpath([_absolute(root) for root in roots]) if roots else ""
    for path in paths:
        place = _absolute(path).relative_to(base)
        found.setdefault(str(_absolute(path)), Input(str(path), str(path), place))
    return list(found.values()), failures


def _expand(argument: str, recursive: bool) -> list[tuple[Path, Path]]:
    """Pairs of a root and a recording at or beneath it."""
    path = Path(argument)
    if path.is_dir():
        recordings = [(path, recording) for recording in _search(path, recursive)]
        if not recordings:
            hint = "" if recursive else "Use -r to look into the folders within it."
            raise AudioError(f"{argument} holds no recordings", hint)
        return recordings
    if glob.has_magic(argument) and not os.path.lexists(path):
        matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207 — may be absolute
        if not matches:
            raise AudioError(f"nothing matches {argument}")
        return [(match.parent, match) for match in matches if not match.is_dir() or _named(match)]
    return [(path.parent, path)]


def _search(folder: Path, recursive: bool) -> Iterator[Path]:
    """Recordings in a folder, in order of their names; a folder named like a recording counts as a (broken) one."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if recursive and path.is_dir():
            within = list(_search(path, recursive))
            yield from within or ([path] if _named(path) else [])
        elif _named(path):
            yield path


def _absolute(path: Path) -> Path:
    """Without `.` and `..`, but through links: a tree is mirrored as the user sees it."""
    return Path(os.path.normpath(path.absolute()))


def _named(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
