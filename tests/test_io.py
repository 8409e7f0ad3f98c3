"""Files are written whole or not at all, whenever Ctrl-C comes."""

import contextlib
import os
import stat
import sys

import pytest

from asr.errors import AsrError
from asr.io import write_text, write_whole

WRITERS = ("asr/io.py", "contextlib.py", "pathlib.py", "pathlib/_local.py")


class _Interrupted:
    """Raises `KeyboardInterrupt` before the instruction of that number in the modules that write a file."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame, event, arg):
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_code.co_filename.endswith(WRITERS):
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def _write_interrupted(path, number: int) -> bool:
    """Whether the writing of `path` came to instruction `number`, where it was interrupted."""
    sys.settrace(_Interrupted(number))
    try:
        write_text(path, "new")
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def _names(folder):
    return [path.name for path in folder.iterdir()]


def test_an_interrupted_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "text.txt"
    number = 0
    while True:
        number += 1
        path.write_text("old")
        interrupted = _write_interrupted(path, number)
        assert _names(tmp_path) == ["text.txt"], number
        assert path.read_text() in ("old", "new"), number
        if not interrupted:
            break
    assert number > 50
    assert path.read_text() == "new"


def test_an_error_inside_leaves_the_former_file(tmp_path):
    path = tmp_path / "text.txt"
    write_text(path, "old")
    with contextlib.suppress(ZeroDivisionError), write_whole(path) as file:
        file.write("new")
        raise ZeroDivisionError
    assert _names(tmp_path) == ["text.txt"]
    assert path.read_text() == "old"


def test_rights_are_those_of_any_new_file(tmp_path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "theirs").write_text("")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "theirs").stat().st_mode)


@pytest.mark.parametrize("name", [".", "missing/../..", "file/inside"])
def test_a_place_that_holds_no_file_is_named(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(AsrError, match="cannot write"):
        write_text(name, "text")


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="open files have no names here")  # noqa: PTH112
def test_an_open_file_is_written_to_and_its_link_left_alone(tmp_path):
    with (tmp_path / "out.txt").open("w") as file:
        write_text(f"/dev/fd/{file.fileno()}", "new")
    assert _names(tmp_path) == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "new"
