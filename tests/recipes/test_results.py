"""recipes/results.py: rows that say how they were made, and pages whose tables are renewed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import results

GREEDY = {"search": "greedy"}
BEAM = {"search": "beam", "beam_size": 50, "lm_weight": 0.5, "word_score": 2.0, "language_model": "/far/away/lm.ngram"}
RESCORED = BEAM | {"rescore": "/far/away/rnn", "rescore_weight": 0.3, "rescore_word_score": 1.5}


def report(folder: Path, decoding: dict[str, object], speakers: int = 26) -> dict[str, object]:
    return {
        "utterance_count": 1089,
        "words": {"reference": 20138},
        "wer": 0.12345,
        "cer": 0.04,
        "interval": {
            "utterances": {"low": 0.11, "high": 0.13, "units": 1089, "trusted": True},
            "speakers": {"low": 0.1, "high": 0.15, "units": speakers, "trusted": speakers >= 20},
        },
        "settings": {
            "model": {"folder": str(folder / "exp/mini/model")},
            "data": {"manifest": "data/manifests/dev-clean-2.jsonl"},
            "decoding": decoding,
            "real_time_factor": 0.004,
        },
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, decoding in (("greedy", GREEDY), ("lm", BEAM)):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "report.json").write_text(json.dumps(report(tmp_path, decoding)))
    return tmp_path


def test_rows(here: Path) -> None:
    assert results.row(report(here, GREEDY)) == (
        "| dev-clean-2 | greedy | 1,089 | 20,138 | 12.35 | 10.0–15.0 (speakers) | 4.00 | 250 "
        "| `asr evaluate exp/mini/model data/manifests/dev-clean-2.jsonl --greedy` |"
    )
    assert results.row(report(here, BEAM)) == (
        "| dev-clean-2 | beam 50, lm.ngram × 0.5, bonus 2 | 1,089 | 20,138 | 12.35 | 10.0–15.0 (speakers) | 4.00 | 250 "
        "| `asr evaluate exp/mini/model data/manifests/dev-clean-2.jsonl --lm lm.ngram` |"
    )


def test_a_linked_folder_is_named_as_it_was_given(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (here / "linked").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert results.brief("linked/dev.jsonl") == results.brief(str(here / "linked/dev.jsonl")) == "linked/dev.jsonl"
    assert results.brief("/elsewhere/dev.jsonl") == "dev.jsonl"


def test_rescoring_is_told(here: Path) -> None:
    row = results.row(report(here, RESCORED))
    assert "| beam 50, lm.ngram × 0.5, bonus 2, rescored × 0.3, bonus 1.5 |" in row
    assert row.endswith("--lm lm.ngram --rescore rnn` |")
    without = results.row(report(here, BEAM | {"rescore": "none"}))
    assert "| beam 50, lm.ngram × 0.5, bonus 2 |" in without
    assert without.endswith("--lm lm.ngram --rescore none` |")


def test_a_search_of_another_width_than_the_models_own_is_asked_for(here: Path) -> None:
    model = here / "exp/mini/model"
    model.mkdir(parents=True)
    (model / "decoding.json").write_text('{"beam_size": 300, "views": 1}')
    own = BEAM | {"language_model": str(model / "lm.ngram"), "beam_size": 300, "views": 1}
    for decoding, options in (
        (own, ""),
        (own | {"views": 2, "beam_size": 800, "adapted": "x"}, " --views 2 --beam 800 --adapt"),
    ):
        assert results.row(report(here, decoding)).endswith(f"dev-clean-2.jsonl{options}` |")


@pytest.mark.parametrize("speakers", [1, 13])
def test_an_interval_over_too_few_speakers_is_not_quoted(here: Path, speakers: int) -> None:
    assert "| 11.0–13.0 (utterances) |" in results.row(report(here, GREEDY, speakers=speakers))


def test_a_page_keeps_its_text_and_the_tables_that_cannot_be_made(here: Path) -> None:
    page = (
        "# Results\n\n<!-- table: reports/lm/*.json reports/g*/report.json -->\nold\n<!-- end -->\n\nbetween\n\n"
        "<!-- table: elsewhere/*/report.json -->\nkept\n<!-- end -->\nafter\n"
    )
    table = results.table([here / "reports/lm/report.json", here / "reports/greedy/report.json"])
    renewed = results.renewed(page)
    assert renewed == page.replace("old\n", table)
    assert results.renewed(renewed) == renewed
