"""Recordings: found, read, resampled, segmented."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = frozenset(
    {".wav", ".flac", ".opus", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".aifc", ".sph", ".au", ".w64", ".voc", ".avr"}
    | {".caf", ".m4a", ".mp4", ".aac", ".webm", ".mkv", ".wma", ".amr"}  # from .m4a on through ffmpeg
)
"""What counts as a recording when a folder is searched; a file that is named itself may be called anything."""


def is_audio(path: Path) -> bool:
    """Whether the name is that of a recording (and not of a hidden companion, as macOS leaves them on other disks)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
