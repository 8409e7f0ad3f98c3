"""Structured files are read as what they are or refused: ids, times, headers and tags never count as words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr.errors import DataError
from asr.scoring import Counts
from asr.scoring.breakdown import break_down
from asr.scoring.files import report_on_files
from asr.scoring.pairing import pair
from asr.scoring.readers import read_transcripts
from asr.scoring.report import Report, describe_inputs, notices

SRT = """1
00:00:00,500 --> 00:00:01,900 align:start
<i>the river</i> is
{\\an8}wide

2
00:00:02,000 --> 00:00:03,000
and cold &amp; deep
"""
VTT = """WEBVTT - a title

NOTE nobody says
this

STYLE
::cue { color: red }

intro
00:00.500 --> 00:01.900
<v Anna>the river is wide</v>

00:00:02.000 --> 00:00:03.000 line:0
and cold &amp; deep
"""
WHISPER = {
    "text": " the river is wide and cold & deep",
    "language": "en",
    "segments": [
        {
            "start": 0.5,
            "end": 1.9,
            "text": " the river is wide",
            "words": [
                {"word": word, "start": 0.5 + number / 4, "end": 0.7 + number / 4}
                for number, word in enumerate([" the", " river", " is", " wide"])
            ],
        },
        {
            "start": 2,
            "end": 3,
            "text": " and cold & deep",
            "words": [
                {"word": word, "start": 2 + number / 4, "end": 2.2 + number / 4}
                for number, word in enumerate([" and", " cold", " &", " deep"])
            ],
        },
    ],
}
SPOKEN = "the river is wide and cold & deep"


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def scored(folder: Path, reference: tuple[str, object], hypothesis: tuple[str, object], **options: object) -> Report:
    (folder / "r").mkdir(exist_ok=True)
    (folder / "h").mkdir(exist_ok=True)
    return report_on_files(write(folder / "r", *reference), write(folder / "h", *hypothesis), **options)


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("talk.srt", SRT, "srt"),
        ("talk.txt", SRT, "srt"),
        ("talk.vtt", VTT, "vtt"),
        ("talk.txt", VTT, "vtt"),
        ("talk.json", WHISPER, "whisper"),
        ("talk.txt", WHISPER, "whisper"),
        ("talk.json", {"text": SPOKEN}, "whisper"),
        ("talk.json", {"transcription": [{"text": " the river is wide"}, {"text": " and cold & deep"}]}, "whisper"),
        ("talk.tsv", "start\tend\ttext\n500\t1900\tthe river is wide\n2000\t3000\tand cold & deep\n", "segments"),
        (
            "talk.txt",
            "[00:00.500 --> 00:01.900]  the river is wide\n[00:02.000 --> 00:03.000]  and cold & deep\n",
            "srt",
        ),
    ],
)
def test_what_holds_one_recording(tmp_path: Path, name: str, content: object, form: str) -> None:
    found = read_transcripts(write(tmp_path, name, content), "hypothesis")
    assert (found.format, {key: " ".join(text.split()) for key, text in found.texts.items()}) == (
        form,
        {"talk": SPOKEN},
    )


def test_cues_need_no_empty_lines_between(tmp_path: Path) -> None:
    dense = "".join(line for line in SRT.splitlines(keepends=True) if line.strip())
    (text,) = read_transcripts(write(tmp_path, "a.srt", dense), "hypothesis").texts.values()
    assert " ".join(text.split()) == SPOKEN


@pytest.mark.parametrize(
    "reference",
    [
        ("ref.txt", "the river is wide\nand cold & deep\n"),
        ("ref.vtt", VTT),
        ("ref.trn", f"{SPOKEN} (a-1)\n"),
        ("ref.stm", "talk 1 anna 0.5 1.9 <o,f0> the river is wide\ntalk 1 anna 2 3 <o,f0> and cold & deep\n"),
    ],
)
def test_the_text_of_a_recording_pairs_with_any_other(tmp_path: Path, reference: tuple[str, str]) -> None:
    report = scored(tmp_path, reference, ("hyp.srt", SRT.replace("river", "liver")))
    assert report.score.words == Counts(7, 1, 0, 0)
    assert "hypothesis read as srt" in describe_inputs(report)


def test_words_of_json_and_ctm_keep_their_times(tmp_path: Path) -> None:
    (utterance,) = scored(tmp_path, ("ref.txt", SPOKEN), ("hyp.json", WHISPER)).score.utterances
    assert utterance.times[:2] == ((0.5, 0.7), (0.75, 0.95))
    assert len(utterance.times) == 8
    ctm = "talk 1 1.0 0.2 river\ntalk 1 0.5 0.3 the\n"
    (utterance,) = scored(tmp_path, ("ref.trn", "the river (talk)"), ("hyp.ctm", ctm)).score.utterances
    assert utterance.times == ((0.5, 0.8), (1.0, 1.2))


def test_a_word_that_a_normalizer_parts_gives_its_times_to_both_parts(tmp_path: Path) -> None:
    ctm = "talk 1 0.5 0.3 well-known\ntalk 1 1 0.3 map.\n"
    report = scored(tmp_path, ("r.trn", "well known map (talk)"), ("h.ctm", ctm), normalizer="librispeech")
    assert report.score.utterances[0].times == ((0.5, 0.8), (0.5, 0.8), (1.0, 1.3))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_csv_with_a_header(tmp_path: Path, separator: str, name: str) -> None:
    rows = [
        ["wav_filename", "speaker", "Transcript"],
        ["clips/b 7.wav", "04", '"the ""wide"" river"'],
        ["c.wav", "x", ""],
    ]
    if name == "a.txt" and separator == "|":
        rows = rows[:2]  # a bar in every line is refused unless the header is known
    found = read_transcripts(write(tmp_path, name, "\n".join(map(separator.join, rows))))
    text = '"the ""wide"" river"' if separator == "\t" and name == "a.txt" else 'the "wide" river'
    assert (found.text_field, found.texts["b 7"], found.fields["b 7"]["speaker"]) == ("transcript", text, "04")


def test_an_empty_cell_says_nothing(tmp_path: Path) -> None:
    rows = ["id,text,speaker,snr", *(f"u{n},a,,{n}" for n in range(50)), "u50,a,anna,", "u51,,anna,3"]
    result = scored(tmp_path, ("a.csv", "\n".join(rows)), ("b.csv", "\n".join(rows))).score
    assert [each.speaker for each in result.utterances[49:]] == [None, "anna", "anna"]
    groups = break_down(result, "snr").groups
    assert [group.label for group in groups][-1] == "(not given)"
    assert len(groups) == 7


def test_a_line_break_within_quotes_is_one_cell(tmp_path: Path) -> None:
    found = read_transcripts(write(tmp_path, "a.csv", 'id,text\nu1,"the river\nis wide"\nu2,b\n'))
    assert dict(found.texts) == {"u1": "the river\nis wide", "u2": "b"}


def test_rows_without_an_id_pair_by_their_number(tmp_path: Path) -> None:
    table = "reference,hypothesis\nthe river,the liver\nis wide,is wide\n"
    assert scored(tmp_path, ("a.csv", table), ("a.csv", table)).score.words == Counts(3, 1, 0, 0)


@pytest.mark.parametrize("header", ["Utt-ID\tText", "file name\tTranscription", "ID\tspeaker id\tsentence"])
def test_names_of_columns_are_known_however_they_are_written(tmp_path: Path, header: str) -> None:
    rows = [["b7", "x", "the river"], ["b8", "x", "is wide"]]
    columns = header.count("\t")
    lines = [header, *("\t".join([row[0], *row[3 - columns :]]) for row in rows)]
    assert dict(read_transcripts(write(tmp_path, "a.tsv", "\n".join(lines))).texts) == {
        "b7": "the river",
        "b8": "is wide",
    }


def test_two_columns_without_a_header_are_ids_and_texts(tmp_path: Path) -> None:
    found = read_transcripts(write(tmp_path, "a.tsv", "intro\tthe river is wide\nb8\tcold\n"))
    assert dict(found.texts) == {"intro": "the river is wide", "b8": "cold"}


def test_recordings_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    lines = [json.dumps({"audio_filepath": f"{folder}/1.wav", "text": folder}) for folder in ("a", "b")]
    assert dict(read_transcripts(write(tmp_path, "m.jsonl", "\n".join(lines))).texts) == {"a/1": "a", "b/1": "b"}


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("the river (anna 4-2)\nis wide (anna 4-3)\n", {"anna 4-2": "the river", "anna 4-3": "is wide"}),
        ("the river (b7 -4310)\nis wide (b8 -99.5)\n", {"b7": "the river", "b8": "is wide"}),
        ("the river (b7)\n\nis wide  (b8)\n", {"b7": "the river", "b8": "is wide"}),
    ],
)  # fmt: skip
def test_ids_with_blanks_and_scores_of_pocketsphinx(tmp_path: Path, content: str, texts: dict[str, str]) -> None:
    assert dict(read_transcripts(write(tmp_path, "h.txt", content)).texts) == texts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "clip,phrase\nb7.wav,the river\n"),
        ("a.txt", "b7.wav,the river\nb8.wav,is wide\n"),
        ("a.txt", "LJ1-1|the river|the river\nLJ1-2|is wide|is wide\n"),
        ("a.tsv", "clip\tphrase\nb7.wav\tthe river\nb8.wav\tis wide\n"),
        ("a.txt", "name\twords\nanna\tthe river\nberta\tis wide\n"),
        ("a.tsv", "clip name\twhat was said\nb7.wav\tthe river\nb8.wav\tis wide\n"),
        ("a.txt", "SPEAKER talk 1 0.5 1.4 <NA> <NA> anna <NA> <NA>\n"),
        ("a.txt", "00:01 the river\n00:02 is wide\n"),
        ("a.txt", "0.5 1.9 the river\n2.0 3.0 is wide\n"),
        ("a.txt", "1. the river\n2. is wide\n"),
        ("a.txt", "Anna: the river\nBerta: is wide\n"),
        ("a.txt", '<?xml version="1.0"?>\n<tt>the river</tt>\n'),
        ("a.txt", 'File type = "ooTextFile"\nObject class = "TextGrid"\n'),
        ("a.txt", '#!MLF!#\n"*/b7.lab"\nthe\n.\n'),
        ("a.txt", "[Script Info]\nTitle: x\n"),
        ("a.textgrid", "the river\n"),
        ("a.json", {"utterances": [{"id": "b7"}]}),
        ("a.json", ["the river"]),
        ("a.json", "7"),
        ("a.srt", "the river\nis wide\n"),
        ("a.txt", "the river\0is wide"),
        ("a.stm", "talk 1 anna 0 x the river\n"),
        ("a.stm", "talk 1 anna 0 1 <o> ignore_time_segment_in_scoring\n"),
        ("a.ctm", "talk 1 nan 1 the\n"),
        ("a.ctm", "talk 1 * * <ALT_BEGIN>\n"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, name: str, content: object) -> None:
    with pytest.raises(DataError, match=r"a\.\w+"):
        read_transcripts(write(tmp_path, name, content))


@pytest.mark.parametrize(
    "text",
    [
        "7 days later\nwell, that was it\n",
        "he said: go\nand she went\n",
        "1,000 people\n",
        "3 of them\n4 of us\n",
        "a|b\n",
    ],
)
def test_prose_stays_plain(tmp_path: Path, text: str) -> None:
    assert read_transcripts(write(tmp_path, "a.txt", text)).format == "plain"


def test_what_is_refused_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "1. the river\n2. is wide\n")
    assert read_transcripts(path, form="plain").texts["1"] == "1. the river"


NEMO = """{"audio_filepath": "x/1.wav", "text": "the river is wide", "pred_text": "the liver is wide"}
{"audio_filepath": "x/2.wav", "text": "come home soon", "pred_text": null}
{"audio_filepath": "x/3.wav", "text": "not today"}
{"audio_filepath": "x/4.wav", "text": "yes", "pred_text": ""}
"""


def test_no_other_field_stands_in_for_a_missing_hypothesis(tmp_path: Path) -> None:
    path = write(tmp_path, "m.jsonl", NEMO)
    with pytest.raises(DataError, match=r"2 without a hypothesis .*\(2, 3\)"):
        report_on_files(path, path)
    report = report_on_files(path, path, missing="delete")
    assert report.score.words == Counts(3, 1, 6, 0)
    assert "(field pred_text)" in describe_inputs(report)


@pytest.mark.parametrize("second", ['{"id": "2", "reference": null, "text": "b"}', '{"id": "2", "text": "b"}'])
def test_no_other_field_stands_in_for_a_missing_reference(tmp_path: Path, second: str) -> None:
    path = write(tmp_path, "m.jsonl", f'{{"id": "1", "reference": "a", "text": "b"}}\n{second}\n')
    with pytest.raises(DataError, match=r"line 2: no text of 2 .reference"):
        read_transcripts(path)


def test_an_empty_cell_is_an_empty_text_and_a_number_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: the text of 1 is no text but 7"):
        read_transcripts(write(tmp_path, "m.jsonl", '{"id": 1, "text": 7}'))


def test_one_field_on_both_sides_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "m.jsonl", '{"id": "1", "text": "the river"}\n')
    with pytest.raises(DataError, match="both sides would be the field 'text'"):
        report_on_files(path, path)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("[cough] the river <noise> is wide", {"<noise>": 1, "[cough]": 1}),
        ("<s> the river is wide </s>", {"</s>": 1, "<s>": 1}),
        ("the river (uh) is <unk> wide [cough]", {"(uh)": 1, "<unk>": 1, "[cough]": 1}),
        ("the river (the great one) is wide", {}),
    ],
)
def test_tags_are_left_out_and_named(tmp_path: Path, text: str, tags: dict[str, int]) -> None:
    report = scored(tmp_path, ("r.trn", f"{text} (b7)\n"), ("h.trn", "the river is wide (b7)\n"))
    assert report.inputs["tags"] == tags
    if tags:
        assert report.score.words == Counts(4, 0, 0, 0)
        assert any(
            ("since nobody speaks them" in line and "[cough] 1" in line) or "<s> 1" in line for line in notices(report)
        )
    kept = scored(tmp_path, ("r.trn", f"{text} (b7)\n"), ("h.trn", "the river is wide (b7)\n"), tags="keep")
    assert kept.score.words.reference == len(text.split())


@pytest.mark.parametrize("name", ["r.trn", "r.txt", "text"])
def test_alternatives_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="alternatives"):
        scored(tmp_path, (name, "b7-1 the { river / liver } (b7-1)\n"), (name, "b7-1 the river (b7-1)\n"))


def test_stm_joins_the_segments_of_a_recording(tmp_path: Path) -> None:
    stm = ";; remark\ntalk 1 anna 2.0 3.0 <o,f0,female> and cold\ntalk 1 anna 0.5 1.9 the river\n"
    stm += "talk 1 inter_segment_gap 1.9 2 <o>\n"
    found = read_transcripts(write(tmp_path, "a.stm", stm))
    assert (dict(found.texts), dict(found.fields)) == ({"talk": "the river and cold"}, {"talk": {"speaker": "anna"}})


@pytest.mark.parametrize("name", ["r.trn", "r.txt", "r.tsv", "text", "r.jsonl", "r.csv", "r.srt", "r.ctm", "r.stm"])
def test_a_byte_order_mark_is_in_no_text(tmp_path: Path, name: str) -> None:
    contents = {
        "r.trn": "the river (b7)\n",
        "r.txt": "the river\n",
        "r.tsv": "b7\tthe river\n",
        "text": "b7 the river\n",
        "r.jsonl": '{"id": "b7", "text": "the river"}\n',
        "r.csv": "id,text\nb7,the river\n",
        "r.srt": "00:00:00,000 --> 00:00:01,000\nthe river\n",
        "r.ctm": "b7 1 0 0.5 the\nb7 1 0.5 0.5 river\n",
        "r.stm": "b7 1 anna 0 1 the river\n",
    }
    path = tmp_path / name
    for mark in ("utf-8-sig", "utf-16"):
        path.write_bytes(contents[name].encode(mark))
        assert list(read_transcripts(path).texts.values()) == ["the river"]
    path.write_bytes(contents[name].encode("utf-8-sig"))
    assert list(read_transcripts(path, encoding="utf-8").texts.values()) == ["the river"]


def test_a_ctm_has_no_blanks_in_its_ids(tmp_path: Path) -> None:
    reference = (
        '{"id": "my take 1", "text": "the river"}\n{"id": "a_b", "text": "cold"}\n{"id": "a b", "text": "wide"}\n'
    )
    ctm = "my_take_1 1 0 0.5 the\nmy_take_1 1 0.5 0.5 river\na_b 1 0 1 cold\n"
    report = scored(tmp_path, ("r.jsonl", reference), ("h.ctm", ctm), missing="delete")
    assert report.score.words == Counts(3, 0, 1, 0)
    assert report.inputs["missing"] == ["a b"]


def test_pairing_keeps_odd_names(tmp_path: Path) -> None:
    names = ["tab\there", "a b", "line\u2028here", "ünï", "a(b)c", "'quoted'"]
    lines = "\n".join(json.dumps({"id": name, "text": "the river"}) for name in names)
    references = read_transcripts(write(tmp_path, "r.jsonl", lines))
    assert list(pair(references, read_transcripts(write(tmp_path, "h.jsonl", lines), "hypothesis")).ids) == names


def test_a_number_too_large_for_a_float_is_no_duration(tmp_path: Path) -> None:
    entry = {"id": "u1", "text": "a b", "duration": 10**400}
    report = scored(tmp_path, ("ref.jsonl", json.dumps(entry) + "\n"), ("hyp.trn", "a c (u1)\n"))
    assert report.score.utterances[0].number("duration") is None
    assert [breakdown.field for breakdown in report.breakdowns] == []
