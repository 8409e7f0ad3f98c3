"""`asr transcribe` as a person meets it: what is on which stream, which files appear, and the exit code."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.cli import main
from asr.nn.precision import bfloat16_is_fast
from tests.audio.recordings import encode, noisy


@pytest.fixture
def asr(tiny_model, capsys, monkeypatch):
    """Run `asr transcribe …` with the tiny model; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["asr", "transcribe", "-m", str(tiny_model), *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main.run()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture
def speech(tmp_path) -> Path:
    """A tree of recordings, two of one name."""
    root = tmp_path / "in"
    for number, name in enumerate(["a/x.wav", "b/x.wav", "b/c/y.flac", "z.ogg"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            encode(noisy(2.0 + number, number), 16000, {"wav": "WAV", "flac": "FLAC"}.get(name[-4:].strip("."), "OGG"))
        )
    (root / "notes.txt").write_text("not a recording")
    return root


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestOneRecording:
    def test_prints_its_text_and_nothing_else(self, asr, speech):
        code, out, err = asr(speech / "a/x.wav")
        assert code == 0
        assert out.strip()
        assert "\t" not in out
        assert err == ""

    def test_standard_input(self, asr, speech, monkeypatch):
        _, wanted, _ = asr(speech / "a/x.wav")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((speech / "a/x.wav").read_bytes())))
        code, out, _ = asr("-")
        assert (code, out) == (0, wanted)

    def test_bfloat16_is_advised_against_where_it_is_slow_only(self, asr, speech):
        slow = not bfloat16_is_fast(torch.device("cpu"))
        code, out, err = asr(speech / "a/x.wav", "--precision", "bfloat16", "--device", "cpu")
        assert (code, bool(out.strip()), "built for bfloat16" in err) == (0, True, slow)
        assert asr(speech / "a/x.wav", "--precision", "bfloat16", "--device", "cpu", "-q")[2] == ""

    @pytest.mark.parametrize("form", ["json", "srt", "vtt", "tsv", "ctm"])
    def test_other_formats_to_standard_output(self, asr, speech, form):
        code, out, err = asr(speech / "a/x.wav", "-f", form)
        assert (code, err) == (0, "")
        if form == "json":
            record = json.loads(out)
            assert record["segments"][0]["words"]

    def test_all_formats(self, asr, speech, tmp_path):
        code, _, err = asr(speech / "a/x.wav", "-f", "all", "-f", "srt", "-o", tmp_path / "texts")
        assert code == 0, err
        assert {path.suffix for path in (tmp_path / "texts").iterdir()} == {
            ".txt",
            ".json",
            ".srt",
            ".vtt",
            ".tsv",
            ".ctm",
        }
        assert asr(speech / "a/x.wav", "-f", "all")[0] == 2, "and not to standard output"

    def test_ray_has_no_graphics_card(self, asr, speech):
        code, _, err = asr(speech / "a/x.wav", "--engine", "ray", "--device", "cuda")
        assert code == 2
        assert "workers of Ray run on processors" in err

    @pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs pipes with a name")
    def test_a_pipe_is_read_once_for_all_channels(self, asr, tmp_path):
        path = tmp_path / "call.wav"
        path.write_bytes(encode(np.stack([noisy(2.0, 1), noisy(2.0, 2)], axis=1), 16000))
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as pipe:
            code, out, err = asr(f"/dev/fd/{pipe.stdout.fileno()}", "--channel", "split")
        assert (code, out) == (0, asr(path, "--channel", "split")[1]), err

    def test_letter_case(self, asr, speech):
        texts = {case: asr(speech / "a/x.wav", "--case", case)[1] for case in ("sentence", "lower", "upper")}
        assert texts["upper"] == texts["lower"].upper()
        assert texts["sentence"] == asr(speech / "a/x.wav")[1]

    def test_silence_is_an_empty_line(self, asr, tmp_path):
        path = tmp_path / "silent.wav"
        path.write_bytes(encode(np.zeros(16000, np.float32), 16000))
        code, out, err = asr(path)
        assert (code, out) == (0, "\n")
        assert err == f"asr: {path} is silent\n"
        assert asr(path, "-q") == (0, "\n", "")


class TestManyRecordings:
    def test_to_standard_output_each_under_its_name(self, asr, speech):
        code, out, _ = asr(speech, "-r")
        assert code == 0
        assert [line.split("\t")[0] for line in out.splitlines()] == [
            str(speech / name) for name in ("a/x.wav", "b/c/y.flac", "b/x.wav", "z.ogg")
        ]

    def test_the_tree_is_mirrored(self, asr, speech, tmp_path):
        assert asr(speech, "-r", "-o", tmp_path / "out", "-f", "txt", "-f", "json")[0] == 0
        stems = ["a/x", "b/c/y", "b/x", "z"]
        assert tree(tmp_path / "out") == sorted(f"{stem}.{form}" for stem in stems for form in ("txt", "json"))

    def test_a_ctm_names_the_channel_that_was_asked_for(self, asr, tmp_path):
        path = tmp_path / "call.wav"
        path.write_bytes(encode(np.stack([noisy(2.0, 1), noisy(2.0, 2)], axis=1), 16000))
        for channel in ("1", "2"):
            code, out, _ = asr(path, "--channel", channel, "-f", "ctm")
            assert code == 0
            assert {line.split()[1] for line in out.splitlines()} == {channel}
        assert "[" not in asr(path, "--channel", "2")[1]

    def test_channels_keep_their_labels_among_several_recordings(self, asr, tmp_path):
        for name in ("call.wav", "talk.wav"):
            channels = np.stack([noisy(2.0, 1), noisy(2.0, 2)], axis=1)
            (tmp_path / name).write_bytes(encode(channels, 16000))
        _, out, _ = asr(tmp_path, "--channel", "split")
        for line in out.splitlines():
            assert all(label in line.split("\t")[1] for label in ("[1] ", "[2] "))

    def test_a_ctm_of_recordings_that_it_cannot_tell_apart_is_refused(self, asr, speech):
        code, out, err = asr(speech / "a/x.wav", speech / "b/x.wav", "-f", "ctm")
        assert (code, out) == (2, "")
        assert "several recordings are called x" in err
        assert asr(speech / "a/x.wav", speech / "z.ogg", "-f", "ctm")[0] == 0

    def test_files_of_one_name_from_two_folders(self, asr, speech, tmp_path):
        asr(speech / "a/x.wav", speech / "b/x.wav", "-o", tmp_path / "out")
        assert tree(tmp_path / "out") == ["a/x.txt", "b/x.txt"]

    def test_files_that_differ_in_their_suffix_only(self, asr, tmp_path):
        for name, form in (("x.wav", "WAV"), ("x.flac", "FLAC")):
            (tmp_path / name).write_bytes(encode(noisy(1.0, 1), 16000, form))
        (tmp_path / "x.wav.mp3").write_bytes(encode(noisy(1.0, 1), 16000, "MP3"))
        asr(tmp_path, "-o", tmp_path / "out")
        assert tree(tmp_path / "out") == ["x.flac.txt", "x.wav.mp3.txt", "x.wav.txt"]

    def test_a_folder_without_r_is_its_direct_files(self, asr, speech):
        assert len(asr(speech / "b")[1].splitlines()) == 1

    def test_patterns(self, asr, speech):
        assert len(asr(f"{speech}/*/x.wav")[1].splitlines()) == 2
        assert len(asr(f"{speech}/**/*.wav")[1].splitlines()) == 2
        assert len(asr(f"{speech}/[b]")[1].splitlines()) == 1, "a folder, as the shell would name it"

    def test_a_recording_named_twice_is_transcribed_once(self, asr, speech):
        assert len(asr(speech / "b", f"{speech}/b/../b/x.wav")[1].splitlines()) == 1

    def test_json_lines(self, asr, speech):
        records = [json.loads(line) for line in asr(speech, "-r", "-f", "json")[1].splitlines()]
        assert len(records) == 4


class TestSkipExisting:
    def test_what_is_there_is_left_alone(self, asr, speech, tmp_path):
        out = tmp_path / "out"
        asr(speech, "-r", "-o", out)
        first = {name: (out / name).read_text() for name in tree(out)}
        (out / "z.txt").unlink()
        (out / "a/x.txt").write_text("mine")
        assert asr(speech, "-r", "-o", out, "--skip-existing")[0] == 0
        assert {name: (out / name).read_text() for name in tree(out)} == first | {"a/x.txt": "mine"}

    def test_a_format_that_is_missing_is_made(self, asr, speech, tmp_path):
        out = tmp_path / "out"
        asr(speech, "-o", out)
        asr(speech, "-o", out, "--skip-existing", "-f", "txt", "-f", "srt")
        assert tree(out) == ["z.srt", "z.txt"]

    def test_killed_in_mid_run_and_started_again(self, asr, tiny_model, tmp_path):
        """SIGKILL, then a second start: the same files as one unbroken run, and nothing half-written."""
        folder = tmp_path / "in"
        folder.mkdir()
        for number in range(60):
            (folder / f"{number:03d}.wav").write_bytes(encode(noisy(8.0, number), 16000))
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        arguments = [str(folder), "--skip-existing", "-f", "txt", "-f", "json", "-o"]
        command = [sys.executable, "-m", "asr.cli.main", "transcribe", "-m", str(tiny_model), *arguments, str(broken)]
        process = subprocess.Popen(command)
        while len(list(broken.glob("*.json"))) < 3 and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert 0 < len(tree(broken)) < 120, "the run ended before it could be killed"
        (broken / ".059.txt.abc123.part").write_text("half")
        assert asr(*arguments, whole)[0] == asr(*arguments, broken)[0] == 0
        assert tree(broken) == tree(whole)
        for name in tree(broken):
            assert (broken / name).read_text() == (whole / name).read_text(), name


class TestFaults:
    def test_of_good_and_broken_files_the_good_are_transcribed(self, asr, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        for number in range(20):
            (folder / f"good{number:02d}.wav").write_bytes(encode(noisy(1.0, number), 16000))
        whole = encode(noisy(2.0, 99), 16000)
        broken = {"truncated.wav": whole[:20000], "empty.wav": b"", "text.wav": b"words, words\n" * 90}
        broken |= {"header.wav": whole[:22] + b"\xff\xff\xff\xff" + whole[26:40], "torn.flac": b"fLaC" + bytes(300)}
        for name, data in broken.items():
            (folder / name).write_bytes(data)
        (folder / "folder.wav").mkdir()
        (folder / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
        names = {*broken, "folder.wav", "gone.wav"}
        if os.geteuid() != 0:
            (folder / "secret.wav").write_bytes(whole)
            (folder / "secret.wav").chmod(0)
            names.add("secret.wav")
        code, _, err = asr(folder, "-o", tmp_path / "out")
        assert code == 1
        assert len(tree(tmp_path / "out")) == 20
        for name in names:
            assert sum(str(folder / name) in line for line in err.splitlines()) == 1, err
        assert "20 recordings, 20.0 s of sound" in err
        assert f"{len(names)} failed" in err
        assert "Traceback" not in err

    def test_a_file_that_vanishes_during_the_run(self, tiny_model, speech):
        from asr.transcription.reader import Request
        from asr.transcription.recognizer import load_model

        def requests():
            for path in sorted(speech.rglob("x.wav")):
                path.unlink()
                yield Request(str(path), str(path))

        outcomes = list(load_model(tiny_model).transcribe_many(requests()))
        assert ["does not exist" in str(outcome.error) for outcome in outcomes] == [True, True]

    def test_nothing_found(self, asr, tmp_path):
        code, out, err = asr(tmp_path, tmp_path / "gone.wav", f"{tmp_path}/*.wav")
        assert (code, out) == (1, "")
        assert "holds no recordings" in err
        assert "gone.wav does not exist" in err
        assert "nothing matches" in err

    def test_read_only_output_folder_is_one_error(self, asr, speech, tmp_path):
        if os.geteuid() == 0:
            pytest.skip("root writes everywhere; needs a non-root user")
        out = tmp_path / "out"
        out.mkdir(mode=0o500)
        code, _, err = asr(speech, "-o", out)
        assert code == 1
        assert len(err.splitlines()) == 2
        assert "cannot write" in err

    def test_an_output_folder_that_is_a_file_is_one_error(self, asr, speech, tmp_path):
        (tmp_path / "out").write_text("")
        code, _, err = asr(speech, "-o", tmp_path / "out")
        assert (code, "Traceback" in err) == (2, False)
        assert err == f"asr: -o takes a folder, and {tmp_path / 'out'} is a file\n"

    def test_one_output_that_cannot_be_had_stops_no_other(self, asr, speech, tmp_path):
        long = f"{'a' * 251}.wav"
        shutil.copy(speech / "a/x.wav", tmp_path / long)
        shutil.copy(speech / "b/x.wav", tmp_path / "b.wav")
        code, _, err = asr(tmp_path / long, tmp_path / "b.wav", "-o", tmp_path / "out", "-f", "json")
        assert (code, "Traceback" in err) == (1, False)
        assert "its name is too long" in err
        assert tree(tmp_path / "out") == ["b.json"]

    def test_a_disk_that_is_full_is_one_error_and_leaves_nothing_half_written(self, tiny_model, speech, tmp_path):
        """A limit on the size of files stands for the disk: the write fails in the same place."""
        program = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        program += "from asr.cli.main import run\nimport asr.transcription.recognizer\n"
        program += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); run()"
        out = tmp_path / "out"
        command = [sys.executable, "-c", program, "transcribe", "-m", str(tiny_model), str(speech / "z.ogg")]
        done = subprocess.run([*command, "-f", "txt", "-f", "json", "-o", out], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith(f"asr: cannot write {out / 'z.json'}: File too large")
        assert "Traceback" not in done.stderr
        assert tree(out) == ["z.txt"]

    @pytest.mark.slow
    def test_interrupted_it_keeps_what_is_done(self, tiny_model, tmp_path):
        folder, out = tmp_path / "in", tmp_path / "out"
        folder.mkdir()
        first = folder / "0000.wav"
        first.write_bytes(encode(noisy(8.0, 0), 16000))
        # So many that not even a busy machine has done with them before it is interrupted.
        for number in range(1, 5000):
            (folder / f"{number:04d}.wav").hardlink_to(first)
        command = [
            sys.executable,
            "-m",
            "asr.cli.main",
            "transcribe",
            "-m",
            str(tiny_model),
            str(folder),
            "-o",
            str(out),
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while len(list(out.glob("*.txt"))) < 3 and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert all(name.endswith(".txt") and (out / name).stat().st_size for name in tree(out))

    @pytest.mark.slow
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_full_standard_output_is_one_error(self, tiny_model, speech):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "asr.cli.main", "transcribe", "-m", str(tiny_model), str(speech / "z.ogg")]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("asr: cannot write to standard output: No space left")
        assert "Traceback" not in done.stderr


class TestUsage:
    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["x.wav", "-f", "docx"],
            ["x.wav", "--channel", "left"],
            ["x.wav", "--channel", "0"],
            ["x.wav", "--case", "title"],
            ["x.wav", "--skip-existing"],
            ["x.wav", "-f", "txt", "-f", "srt"],
            ["x.wav", "y.wav", "-f", "srt"],
            ["x.wav", "--threads", "0"],
            ["x.wav", "--greedy", "--beam", "10"],
            ["x.wav", "--beam", "0"],
            ["x.wav", "--greedy", "--rescore", "rnn"],
        ],
    )
    def test_errors_are_2(self, asr, arguments):
        code, out, err = asr(*arguments)
        assert (code, out) == (2, "")
        assert err
        assert "Traceback" not in err

    def test_faults_of_hotwords_and_language_models(self, asr, speech, tmp_path):
        code, _, err = asr(speech / "z.ogg", "--hotword", "FOX=loud")
        assert (code, err.splitlines()[0]) == (2, "asr: hotword 'FOX=loud' is not of the form WORD or WORD=BOOST")
        code, _, err = asr(speech / "z.ogg", "--lm", tmp_path / "gone.lm")
        assert (code, "gone.lm does not exist" in err) == (1, True)

    def test_a_model_that_is_none(self, asr, speech, tmp_path):
        code, _, err = asr("-m", tmp_path, speech)
        assert code == 1
        assert "not a model folder" in err

    def test_usage_errors_do_not_wait_for_torch(self):
        program = "import sys; sys.argv = ['asr', 'transcribe', 'a', '-f', 'docx']\n"
        program += "from asr.cli.main import run\ntry: run()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.stdout == "False\n"


class TestNamesAndLinks:
    def test_links_in_circles_are_followed_once(self, asr, tmp_path):
        (tmp_path / "loop" / "sub" / "more").mkdir(parents=True)
        for name in ("a.wav", "sub/more/b.wav"):
            (tmp_path / "loop" / name).write_bytes(encode(noisy(1.0, 1), 16000))
        (tmp_path / "loop" / "sub" / "up").symlink_to("..")
        (tmp_path / "loop" / "again").symlink_to("sub/more")
        code, _, _ = asr("-r", tmp_path / "loop", "-o", tmp_path / "out")
        assert code == 0
        assert tree(tmp_path / "out") == ["a.txt", "sub/more/b.txt"]

    def test_names_with_tabs_and_line_breaks_stay_one_word_and_one_line(self, asr, tmp_path):
        names = ["tab\there.wav", "new\nline.wav"]
        for name in names:
            (tmp_path / name).write_bytes(encode(noisy(2.0, 3), 16000))
        code, out, _ = asr(tmp_path)
        assert code == 0
        assert [line.split("\t")[0].removeprefix(f"{tmp_path}/") for line in out.splitlines()] == [
            "new line.wav",
            "tab here.wav",
        ]
        assert [line.count("\t") for line in out.splitlines()] == [1, 1]
        code, out, _ = asr(tmp_path, "-f", "ctm")
        assert {line.split()[0] for line in out.splitlines()} == {"new_line", "tab_here"}
        assert {len(line.split()) for line in out.splitlines()} == {6}

    def test_a_folder_named_like_a_file_is_refused(self, asr, speech, tmp_path):
        code, out, err = asr(speech / "a/x.wav", "-o", tmp_path / "one.srt")
        assert (code, out) == (2, "")
        assert "-o takes a folder" in err
        assert not (tmp_path / "one.srt").exists()

    def test_times_of_a_table_do_not_depend_on_other_formats(self, asr, speech, tmp_path):
        asr(speech / "a/x.wav", "-o", tmp_path / "one", "-f", "tsv")
        asr(speech / "a/x.wav", "-o", tmp_path / "two", "-f", "tsv", "-f", "srt")
        assert (tmp_path / "one" / "x.tsv").read_text() == (tmp_path / "two" / "x.tsv").read_text()

    def test_standard_input_that_is_no_recording_is_called_so(self, asr, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"RIFFnonsense")))
        code, _, err = asr("-")
        assert code == 1
        assert err.count("standard input is not a recording") == 1
