"""The page in a real browser: it renders, sorts, filters, plays, prints no error and asks nothing of a network."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.scoring.files import board_of_files, report_on_files
from asr.scoring.views import write_board, write_report
from tests import browser as browsing
from tests.browser import chromium, wait
from tests.scoring.conftest import Invented, invent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def corpus(tmp_path: Path) -> Invented:
    seconds = np.arange(16000 * 2) / 16000
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.sin(2 * np.pi * 330 * seconds), 16000)
    return invent(tmp_path, audio=Path("tone.wav"))


class Visit(browsing.Visit):
    """An opened page of files: nothing is fetched but the page, its icon and recordings from disk."""

    def __init__(self, browser: Any, file: Path, path: str = "", **options: Any) -> None:
        super().__init__(browser, file.as_uri() + path, ("file:", "data:"), **options)


def texts(page: Any, selector: str) -> list[str]:
    return [item.strip() for item in page.locator(selector).all_inner_texts()]


def errors(page: Any) -> list[int]:
    return [int(text) for text in texts(page, "tr.row td:nth-child(2)")]


def test_it_renders_sorts_filters_and_aligns(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    report = report_on_files(corpus.manifest, corpus.system)
    write_report(report, tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    page = visit.page
    assert f"{report.score.wer * 100:.2f}" in page.locator(".big").inner_text()
    assert page.locator("svg.chart").count() >= 6
    assert len(errors(page)) == 50
    assert errors(page) == sorted(errors(page), reverse=True)

    page.locator("thead button[data-key=errors]").click()
    assert errors(page) == sorted(errors(page))
    page.locator("thead button[data-key=id]").click()
    assert texts(page, ".open") == sorted(utterance.id for utterance in report.score.utterances)[:50]

    page.select_option("#kind", "d")
    expected = sum(1 for utterance in report.score.utterances if utterance.words.deletions)
    assert page.locator("#count").inner_text().startswith(f"{expected} of ")
    page.select_option("#kind", "")
    chosen = report.score.utterances[17]
    page.fill("#search", chosen.id)
    wait(lambda: page.locator("tr.row").count() == 1)
    page.locator(".open").click()
    pairs = chosen.pairs
    assert texts(page, ".aligned > span:not(.lead) > span:first-child") == [pair.reference or "·" for pair in pairs]
    assert texts(page, ".aligned > span:not(.lead) > span:nth-child(2)") == [pair.hypothesis or "·" for pair in pairs]
    visit.clean()


def test_a_chosen_word_shows_its_utterances(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    report = report_on_files(corpus.manifest, corpus.system)
    write_report(report, tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    visit.page.locator(".words button").first.click()
    ((left, right), _), *_ = report.confusions.substitutions.most_common(1)
    expected = sum(
        any((pair.kind, pair.reference, pair.hypothesis) == ("replace", left, right) for pair in utterance.pairs)
        for utterance in report.score.utterances
    )
    assert visit.page.locator("#count").inner_text().startswith(f"{expected} of ")
    visit.page.get_by_role("button", name="show all").click()
    assert visit.page.locator("#count").inner_text().startswith("240 of ")
    visit.clean()


@pytest.mark.parametrize("embed", [False, True])
def test_it_plays(browser: Any, corpus: Invented, tmp_path: Path, embed: bool) -> None:
    folder = tmp_path / "reports"
    write_report(report_on_files(corpus.manifest, corpus.system), folder / "report.html", embed_audio=embed)
    if embed:
        (tmp_path / "tone.wav").unlink()
    visit = Visit(browser, folder / "report.html")
    visit.page.locator(".open").first.click()
    visit.page.evaluate("document.querySelector('audio').play()")
    wait(lambda: visit.page.evaluate("document.querySelector('audio').currentTime") > 0.2)
    visit.clean()


def test_two_systems(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    report = report_on_files(corpus.manifest, corpus.system, against=corpus.baseline)
    assert report.comparison is not None
    write_report(report, tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    assert report.conclusion in visit.page.locator(".verdict").inner_text()
    visit.page.select_option("#change", "worse")
    pairs = zip(report.score.utterances, report.comparison.first.utterances, strict=True)
    worse = sum(1 for new, old in pairs if new.words.errors > old.words.errors)
    assert visit.page.locator("#count").inner_text().startswith(f"{worse} of ")
    visit.page.locator(".open").first.click()
    assert texts(visit.page, "tr.detail h3") == ["gru", "old"]
    visit.clean()


def test_hostile_text_is_shown_and_not_run(browser: Any, tmp_path: Path) -> None:
    hostile = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    (tmp_path / "ref.txt").write_text(f"the map\n{hostile}\n")
    (tmp_path / "hyp.txt").write_text(f"{hostile}\nthe map\n")
    report = report_on_files(tmp_path / "ref.txt", tmp_path / "hyp.txt", tags="keep")
    write_report(report, tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    for button in visit.page.locator(".open").all():
        button.click()
    assert visit.page.evaluate("window.hacked") is None
    assert "<script>window.hacked=1</script><img" in visit.page.locator("#rows").inner_text()
    visit.clean()


def timed(corpus: Invented, folder: Path) -> Path:
    """The system's hypotheses as a CTM whose words stand a quarter of a second apart in the two seconds of tone."""
    lines = []
    for line in corpus.system.read_text().splitlines():
        text, _, name = line.rpartition(" ")
        words = text.split()[:8]
        lines += [f"{name[1:-1]} 1 {0.25 * index:.2f} 0.20 {word}" for index, word in enumerate(words)]
    (folder / "gru.ctm").write_text("\n".join(lines))
    return folder / "gru.ctm"


def test_a_word_is_heard_and_stands_under_the_waveform(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    report = report_on_files(corpus.manifest, timed(corpus, tmp_path), missing="delete")
    write_report(report, tmp_path / "report.html")
    name = next(each.id for each in report.score.utterances if len(each.times) == 8)
    visit = Visit(browser, tmp_path / "report.html", path=f"#{name}")
    page = visit.page
    assert texts(page, ".open") == [name]
    assert page.locator(".wave canvas").count() == 1
    hypothesis = next(each.hypothesis for each in report.score.utterances if each.id == name).split()
    assert texts(page, ".words-at:nth-child(3) > *") == hypothesis
    fourth = page.locator(".aligned button.hear").nth(3)
    assert fourth.inner_text() == hypothesis[3]
    fourth.click()
    position = "document.querySelector('audio').currentTime"
    wait(
        lambda: page.evaluate(
            "!document.querySelector('audio').paused || document.querySelector('audio').currentTime > 0.9"
        )
    )
    wait(lambda: page.evaluate("document.querySelector('audio').paused"))
    assert 0.9 <= page.evaluate(position) < 1.3  # the word is over at 0.95 s
    page.locator(".wave canvas").click(position={"x": 2, "y": 10})
    wait(lambda: page.evaluate(position) < 0.9)
    visit.clean()


def test_a_link_leads_to_an_utterance(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"id": "a b/ü#1", "text": "the river"}\n{"id": "c2", "text": "is wide"}\n')
    (tmp_path / "h.jsonl").write_text('{"id": "a b/ü#1", "text": "the liver"}\n{"id": "c2", "text": "is wide"}\n')
    write_report(report_on_files(tmp_path / "r.jsonl", tmp_path / "h.jsonl"), tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    assert len(texts(visit.page, ".open")) == 2
    visit.page.locator("a.link").first.click()
    wait(lambda: texts(visit.page, ".open") == ["a b/ü#1"])
    assert visit.page.locator(".aligned").count() == 1
    visit.page.reload()
    assert texts(visit.page, ".open") == ["a b/ü#1"]
    visit.page.get_by_role("button", name="show all").click()
    assert len(texts(visit.page, ".open")) == 2
    visit.clean()


@pytest.mark.parametrize("width", [390, 800, 1400])
def test_long_names_of_systems_do_not_overlap(browser: Any, corpus: Invented, tmp_path: Path, width: int) -> None:
    names = ["bidirectional_gru_ctc_with_language_model_and_rescoring-2026", "conformer-transducer-large-streaming.v2"]
    report = report_on_files(corpus.manifest, corpus.system, against=corpus.baseline, names=names)
    write_report(report, tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html", viewport={"width": width, "height": 900})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [tile.bounding_box() for tile in visit.page.locator(".verdict .tiles dt").all()]
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = one["x"] + one["width"] <= other["x"] or one["y"] + one["height"] <= other["y"]
            assert apart or other["y"] + other["height"] <= one["y"] or other["x"] + other["width"] <= one["x"]
    overflowing = (
        "[...document.querySelectorAll('.verdict dt')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    )
    assert visit.page.evaluate(overflowing) == 0
    visit.clean()


def test_a_board_opens_its_pairs(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    third = tmp_path / "worse.trn"
    third.write_text("".join(f"UH {line}\n" for line in corpus.system.read_text().splitlines()))
    write_board(board_of_files(corpus.manifest, [corpus.system, corpus.baseline, third]), tmp_path / "board.html")
    for width in (390, 1400):
        visit = Visit(browser, tmp_path / "board.html", viewport={"width": width, "height": 900})
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert texts(page, ".board tbody th")[:3] == ["gru", "old", "worse"]
        page.locator(".board a").first.click()
        assert page.locator(".verdict").count() == 1
        assert len(errors(page)) == 50
        visit.clean()


def test_on_a_phone_nothing_sticks_out(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    write_report(report_on_files(corpus.manifest, corpus.system, against=corpus.baseline), tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html", viewport={"width": 360, "height": 740}, color_scheme="dark")
    visit.page.locator(".open").first.click()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    visit.clean()


def test_the_keyboard_is_enough(browser: Any, corpus: Invented, tmp_path: Path) -> None:
    write_report(report_on_files(corpus.manifest, corpus.system), tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("kettle")
    wait(lambda: not visit.page.locator("#count").inner_text().startswith("240 of"))
    visit.page.locator(".open").first.focus()
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    assert visit.page.locator(".open").nth(1).get_attribute("aria-expanded") == "true"
    visit.clean()


def test_ten_thousand_utterances_open_and_filter_within_two_seconds(browser: Any, tmp_path: Path) -> None:
    corpus = invent(tmp_path, utterances=10_000, speakers=60)
    write_report(report_on_files(corpus.manifest, corpus.system), tmp_path / "report.html")
    opened, filtered, ordered, busy = _times(browser, tmp_path / "report.html")
    print(
        f"\nopened in {opened:.2f} s, filtered in {filtered:.2f} s, sorted in {ordered:.2f} s; processor {busy:.2f} s"
    )
    assert busy < 2
    if os.getloadavg()[0] < (os.cpu_count() or 1):  # by the clock only where nothing else takes the processor
        assert max(opened, filtered, ordered) < 2


def _times(browser: Any, path: Path) -> tuple[float, float, float, float]:
    """Seconds to open, to filter and to sort; and the processor time of the page for all three."""
    start = time.monotonic()
    visit = Visit(browser, path)
    page = visit.page
    wait(lambda: page.locator("tr.row").count() == 50)
    opened = time.monotonic()
    page.fill("#search", "lanterns by the harbour")
    wait(lambda: not page.locator("#count").inner_text().startswith("10,000"))
    filtered = time.monotonic()
    page.locator("thead button[data-key=rate]").click()
    end = time.monotonic()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    visit.clean()
    return opened - start, filtered - opened, end - filtered, metrics["ProcessTime"]
