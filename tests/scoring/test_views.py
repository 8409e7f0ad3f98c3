"""Every view says what the score says, and hostile text stays text."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from asr.errors import AudioError
from asr.scoring import score
from asr.scoring.files import board_of_files, report_on_files
from asr.scoring.report import build_report, notices
from asr.scoring.views.data import render_csv, render_json, render_pra, render_sys
from asr.scoring.views.page import render_html
from asr.scoring.views.terminal import print_report

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=alert(1)> &amp; \"quoted\" 'too' \u2028"


def test_json_holds_everything(invented) -> None:  # type: ignore[no-untyped-def]
    report = report_on_files(invented.manifest, invented.system, against=invented.baseline, by=["room"])
    data = json.loads(render_json(report))
    assert data["wer"] == report.score.wer
    assert (
        data["words"]["errors"]
        == report.score.words.errors
        == sum(item["substitutions"] + item["deletions"] + item["insertions"] for item in data["utterances"])
    )
    assert [item["field"] for item in data["breakdowns"]] == [
        "room", "speaker", "duration", "speaking_rate", "level_db",
    ]  # fmt: skip
    for breakdown in data["breakdowns"]:
        assert sum(group["words"]["errors"] for group in breakdown["groups"]) == data["words"]["errors"]
    assert data["comparison"]["difference"] == pytest.approx(data["wer"] - data["comparison"]["baseline_wer"])
    assert sum(item["baseline_errors"] for item in data["utterances"]) == data["comparison"]["baseline_words"]["errors"]
    assert data["interval"]["speakers"]["low"] < data["wer"] < data["interval"]["speakers"]["high"]


def test_alignment_letters_in_json() -> None:
    (item,) = json.loads(render_json(build_report(score(["a b c"], ["a x c d"]))))["utterances"]
    assert item["alignment"] == "CSCI"


def test_csv_has_a_row_per_utterance() -> None:
    report = build_report(score(['say "a, b"', "c"], ["say", "c"], ids=["u1", "u2"]))
    rows = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert [row["id"] for row in rows] == ["u1", "u2"]
    assert rows[0]["reference"] == 'say "a, b"'
    assert [row["deletions"] for row in rows] == ["2", "0"]


def test_pra() -> None:
    text = render_pra(score(["the cat sat"], ["the hat sat on"], ids=["u1"]))
    assert text.splitlines() == [
        "id: (u1)",
        "Scores: (#C #S #D #I) 2 1 0 1",
        "REF:  the CAT sat **",
        "HYP:  the HAT sat ON",
        "Eval:     S       I",
    ]


def test_sys_sums_over_speakers() -> None:
    text = render_sys(score(["a b", "c d"], ["a x", "c d"], speakers=["s1", "s2"]), "gru")
    assert re.search(r"\| s1 +\| +1 +2 \| +50\.0 +50\.0 +0\.0 +0\.0 +50\.0 +100\.0 \|", text)
    assert re.search(r"\| Sum/Avg +\| +2 +4 \| +75\.0 +25\.0 +0\.0 +0\.0 +25\.0 +50\.0 \|", text)
    assert len({len(line) for line in text.splitlines()}) == 1


def test_terminal_is_plain_when_piped() -> None:
    file = io.StringIO()
    print_report(build_report(score(["the cat sat"], ["the hat sat"])), Console(file=file, highlight=False))
    text = file.getvalue()
    assert text.startswith("WER 33.33 %   system\n")
    assert "(cat -> hat) 1" in text
    assert "no interval over utterances: too few utterances (1, at least 100" in text
    assert "\x1b" not in text


def test_worst_utterances_in_the_terminal() -> None:
    file = io.StringIO()
    report = build_report(score(["the cat sat down", "a"], ["the hat sat on a", "a"], ids=["u1", "u2"]))
    print_report(report, Console(file=file, highlight=False), worst=2)
    assert file.getvalue().endswith("\nu1  3 errors\n  the [cat -> hat] sat [+on] [down -> a]\n")


def test_a_hypothesis_cannot_steer_the_terminal() -> None:
    file = io.StringIO()
    report = build_report(score(["a"], ["\x1b[2Jx"], ids=["\x1b]0;hacked\x07"]), name="\x1b[31m")
    print_report(report, Console(file=file, highlight=False), worst=1)
    assert "\x1b" not in file.getvalue()
    assert "(a -> �[2Jx) 1" in file.getvalue()


def test_what_the_baseline_lacks_is_listed(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("a (u1)\nb (u2)\nb (u2)\n")
    (tmp_path / "hyp.trn").write_text("a (u1)\nb (u2)\n")
    (tmp_path / "base.trn").write_text("a (u1)\nx (u1)\nc (u9)\n")
    report = report_on_files(tmp_path / "r.trn", tmp_path / "hyp.trn", against=tmp_path / "base.trn", missing="delete")
    inputs = json.loads(render_json(report))["inputs"]
    assert [inputs[f"baseline_{key}"] for key in ("missing", "extra", "doubled")] == [["u2"], ["u9"], ["u1"]]
    assert (inputs["baseline"], inputs["doubled"], inputs["reference_doubled"]) == (
        str(tmp_path / "base.trn"),
        [],
        ["u2"],
    )
    board = board_of_files(tmp_path / "r.trn", [tmp_path / "hyp.trn", tmp_path / "base.trn"], missing="delete")
    (difference,) = board.differences
    told = [line for line in notices(difference.report) if "more than once" in line]
    assert told == [
        "1 ids more than once among the references, the first text taken: u2",
        "baseline base: 1 ids more than once among the hypotheses, the first text taken: u1",
    ]
    file = io.StringIO()
    print_report(report, Console(file=file, highlight=False))
    page = render_html(report, tmp_path)
    for line in [
        "1 ids more than once among the references, the first text taken: u2",
        "baseline base: 1 without a hypothesis, counted as deleted: u2",
        "baseline base: 1 hypotheses without a reference, left out: u9",
        "baseline base: 1 ids more than once among the hypotheses, the first text taken: u1",
    ]:
        assert f"\n{line}\n" in file.getvalue()
        assert f'<p class="notice">{line}</p>' in page


def test_fields_of_any_kind_do_no_harm(tmp_path: Path) -> None:
    strange = {"duration": "long", "offset": [1], "audio_filepath": 3, "level_db": True, "note": {"deep": None}}
    report = build_report(score(["a", "b"], ["a", "c"], fields=[strange, {"duration": float("inf")}]), by=["note"])
    page = render_html(report, tmp_path)
    rows = json.loads(page.split('id="data">')[1].split("</script>")[0])["utterances"]
    assert [row[5] for row in rows] == [None, None]
    assert json.loads(render_json(report))["utterances"][1]["fields"] == {"duration": None}
    assert [breakdown.field for breakdown in report.breakdowns] == ["note"]


def test_json_has_no_infinities_however_deep(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"id": "u", "text": "a", "peaks": [1e999, {"left": [-1e999, 2]}]}\n')
    (tmp_path / "h.trn").write_text("a (u)\n")
    text = render_json(report_on_files(tmp_path / "r.jsonl", tmp_path / "h.trn"))
    assert "Infinity" not in text
    assert json.loads(text)["utterances"][0]["fields"] == {"peaks": [None, {"left": [None, 2]}]}


def test_recordings_of_any_kind_do_no_harm(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "gaps.wav", np.float32([0.1, np.nan, np.inf, 0.2] * 500), 16000, subtype="FLOAT")
    fields = [
        {"audio_filepath": str(tmp_path / "gaps.wav")},
        {"audio_filepath": "x" * 5000},
        {"audio_filepath": str(tmp_path / "gaps.wav"), "offset": 1e300},
    ]
    rows = _rows(render_html(build_report(score(["a"] * 3, ["b"] * 3, fields=fields)), tmp_path))
    assert [row[6] and row[6].partition("#")[0] for row in rows] == ["gaps.wav", None, "gaps.wav"]
    levels, seconds = rows[0][9]
    assert (set(levels), seconds) == ({"/"}, 0.125)
    assert [row[9] for row in rows[1:]] == [None, None]


def _rows(page: str) -> list[list[Any]]:
    rows: list[list[Any]] = json.loads(page.split('id="data">')[1].split("</script>")[0])["utterances"]
    return rows


class Collector(HTMLParser):
    """Tags, and the attributes that could act."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def test_hostile_text_cannot_leave_its_place(tmp_path: Path) -> None:
    result = score([HOSTILE, "a"], ["a", HOSTILE], ids=[HOSTILE, "u2"], speakers=[HOSTILE, "x"])
    against = score([HOSTILE, "a"], [HOSTILE, HOSTILE], ids=[HOSTILE, "u2"], speakers=[HOSTILE, "x"])
    report = build_report(result, name=HOSTILE, against=against, baseline=HOSTILE, inputs={"reference": HOSTILE})
    page = render_html(report, tmp_path)
    collector = Collector()
    collector.feed(page)
    assert collector.tags.count("script") == 2
    assert "img" not in collector.tags
    assert not [name for name in collector.attributes if name.startswith("on")]
    block = page.split('id="data">')[1].split("</script>")[0]
    assert json.loads(block)["utterances"][1][3] == " ".join(HOSTILE.split())


def test_the_page_needs_nothing_from_outside(tmp_path: Path, invented) -> None:  # type: ignore[no-untyped-def]
    page = render_html(report_on_files(invented.manifest, invented.system), tmp_path)
    assert not re.findall(r"""(?:src|href)=["']?(?!data:,|#)[^"' >]+""", page)
    assert "http://" not in page
    assert "https://" not in page
    assert "connect-src" not in page
    assert "default-src 'none'" in page


def test_audio_is_linked_relative_to_the_page(tmp_path: Path) -> None:
    audio = tmp_path / "clips" / "an odd#name.wav"
    audio.parent.mkdir()
    audio.write_bytes(b"RIFF")
    fields = [{"audio_filepath": str(audio)}, {"audio_filepath": str(audio), "offset": 2.5, "duration": 1.5}, {}]
    report = build_report(score(["a"] * 3, ["a"] * 3, fields=fields))
    page = render_html(report, tmp_path / "reports")
    links = [row[6] for row in json.loads(page.split('id="data">')[1].split("</script>")[0])["utterances"]]
    assert links == ["../clips/an%20odd%23name.wav", "../clips/an%20odd%23name.wav#t=2.5,4", None]


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_embedded_audio_of_a_part_is_cut(tmp_path: Path, offset: float) -> None:
    import base64

    import numpy as np
    import soundfile

    audio = tmp_path / "long.wav"
    soundfile.write(audio, np.zeros(16000 * 5), 16000)
    fields = [{"audio_filepath": str(audio), "offset": offset, "duration": 2.0}]
    page = render_html(build_report(score(["a"], ["a"], ids=["u"], fields=fields)), tmp_path, embed=True)
    source = _rows(page)[0][6]
    kind, _, data = source.partition(",")
    assert kind == "data:audio/flac;base64"
    assert soundfile.info(io.BytesIO(base64.b64decode(data))).frames == 32000


def test_what_cannot_be_embedded_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.aiff").write_bytes(b"FORM")
    report = build_report(score(["a"], ["a"], fields=[{"audio_filepath": str(tmp_path / "torn.aiff"), "duration": 1}]))
    with pytest.raises(AudioError, match=r"torn\.aiff cannot be embedded"):
        render_html(report, tmp_path, embed=True)


def test_tags_left_out_of_the_baseline_alone_are_told(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("a [noise] b (u1)\n")
    (tmp_path / "hyp.trn").write_text("a b (u1)\n")
    (tmp_path / "base.trn").write_text("a <unk> (u1)\n")
    for against, told in [("hyp.trn", 1), ("base.trn", 2)]:
        lines = list(notices(report_on_files(tmp_path / "r.trn", tmp_path / "hyp.trn", against=tmp_path / against)))
        assert len([line for line in lines if "tags left out" in line]) == told
    assert lines[-1] == ("baseline base: 2 tags left out, since nobody speaks them (--tags keep): <unk> 1, [noise] 1")
