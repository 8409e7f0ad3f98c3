"""The page in a real browser, with a microphone that plays a recording: text, words, downloads, and no other host."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import srt
import webvtt

from tests import browser as browsing
from tests.browser import chromium
from tests.serve.conftest import Running

pytestmark = pytest.mark.slow
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
FLAGS = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
wait = partial(browsing.wait, seconds=60)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    voice = tmp_path_factory.mktemp("microphone") / "voice.wav"
    samples, rate = soundfile.read(SAMPLES / "river.wav")
    quiet = np.random.default_rng(0).normal(0, 1e-4, 2 * rate)
    soundfile.write(voice, np.concatenate([quiet[: rate // 2], samples, quiet]), rate)
    with chromium(*FLAGS, f"--use-file-for-fake-audio-capture={voice}") as opened:
        yield opened


class Visit(browsing.Visit):
    """An opened page of the server, with a microphone: nothing is asked of another host."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        own = (address, address.replace("http", "ws"), f"blob:{address}", "data:")
        super().__init__(browser, address, own, permissions=["microphone"], accept_downloads=True, **options)

    def wait_for_done(self) -> None:
        wait(lambda: self.page.locator("#status").inner_text().find("Done") >= 0)

    def transcribe(self, *paths: Path) -> None:
        self.page.set_input_files("#file", [str(path) for path in paths])
        wait(lambda: self.page.locator("#title").inner_text() == paths[-1].name)
        self.wait_for_done()


def test_a_file_becomes_words_that_can_be_clicked(browser: Any, server: Running, recognizer: Any) -> None:
    visit = Visit(browser, server.address)
    visit.transcribe(SAMPLES / "bread.wav")
    page, expected = visit.page, recognizer.transcribe(SAMPLES / "bread.wav")
    words = page.locator("button.w")
    assert words.all_inner_texts() == [word.text for word in expected.words]
    chosen = len(expected.words) // 2
    words.nth(chosen).click()
    wait(lambda: page.locator("#play").get_attribute("aria-label") == "Pause")
    wait(lambda: float(page.locator("#wave").get_attribute("aria-valuenow")) >= round(expected.words[chosen].start, 1))
    page.locator("#play").click()
    page.locator("#wave").focus()
    page.keyboard.press("Home")
    wait(lambda: page.locator("#wave").get_attribute("aria-valuenow") == "0.0")
    box = page.locator("#wave").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    wait(lambda: abs(float(page.locator("#wave").get_attribute("aria-valuenow")) - expected.duration / 2) < 0.2)
    visit.clean()


def test_downloads_are_read_by_their_own_parsers(browser: Any, server: Running, tmp_path: Path) -> None:
    visit = Visit(browser, server.address)
    visit.transcribe(SAMPLES / "market.ogg")
    files = {}
    for form in ("txt", "srt", "vtt", "json"):
        with visit.page.expect_download() as caught:
            visit.page.locator(f"[data-format={form}]").click()
        assert caught.value.suggested_filename == f"market.{form}"
        caught.value.save_as(tmp_path / f"market.{form}")
        files[form] = (tmp_path / f"market.{form}").read_text()
    data = json.loads(files["json"])
    assert files["txt"].split() == data["text"].split()
    assert data["segments"][0]["words"]
    assert " ".join(cue.content for cue in srt.parse(files["srt"])).split() == data["text"].split()
    assert " ".join(cue.text for cue in webvtt.read(tmp_path / "market.vtt")).split() == data["text"].split()
    visit.clean()


def test_what_the_microphone_hears_appears_while_it_is_said(browser: Any, server: Running) -> None:
    visit = Visit(browser, server.address)
    page = visit.page
    page.locator("#microphone").click()
    wait(lambda: page.locator("#status").inner_text() == "Listening …")
    assert page.locator("#microphone").get_attribute("aria-pressed") == "true"
    wait(lambda: page.locator(".provisional").count() > 0)
    wait(lambda: page.locator("#transcript p:not(.provisional)").count() > 0)
    page.locator("#microphone").click()
    visit.wait_for_done()
    assert page.locator("#microphone").get_attribute("aria-pressed") == "false"
    assert page.locator(".provisional").count() == 0
    page.locator("button.w").first.click()
    wait(lambda: page.locator("#play").get_attribute("aria-label") == "Pause")
    visit.clean()


def test_the_list_goes_back_to_earlier_transcripts(browser: Any, server: Running, recognizer: Any) -> None:
    visit = Visit(browser, server.address)
    visit.transcribe(SAMPLES / "bread.wav", SAMPLES / "captain.flac")
    page = visit.page
    for name in ("bread.wav", "captain.flac"):
        page.locator("#list button", has_text=name).click()
        assert page.locator("#title").inner_text() == name
        expected = [word.text for word in recognizer.transcribe(SAMPLES / name).words]
        assert page.locator("button.w").all_inner_texts() == expected
    visit.clean()


def test_a_broken_file_is_told(browser: Any, server: Running, tmp_path: Path) -> None:
    name = "<img src=x onerror=window.hacked=1>.wav"
    (tmp_path / name).write_bytes(b"RIFF0000")
    visit = Visit(browser, server.address)
    visit.page.set_input_files("#file", str(tmp_path / name))
    wait(lambda: visit.page.locator("#problem").is_visible())
    assert name in visit.page.locator("#problem").inner_text()
    assert visit.page.evaluate("window.hacked") is None
    visit.messages = [text for text in visit.messages if "400" not in text]  # the browser notes the refused upload
    visit.clean()


def test_a_token_is_asked_for_and_kept(browser: Any, serve_with: Callable[..., Running]) -> None:
    server = serve_with(token="secret")
    visit = Visit(browser, server.address)
    visit.page.set_input_files("#file", str(SAMPLES / "bread.wav"))
    wait(lambda: visit.page.locator("#access").is_visible())
    visit.page.fill("#token", "secret")
    visit.page.keyboard.press("Enter")
    visit.transcribe(SAMPLES / "lamp.wav")
    assert visit.page.locator("button.w").count() > 0


def test_the_keyboard_is_enough(browser: Any, server: Running) -> None:
    visit = Visit(browser, server.address)
    visit.transcribe(SAMPLES / "bread.wav")
    page = visit.page
    page.locator("button.w").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait(lambda: page.locator("#play").get_attribute("aria-label") == "Pause")
    assert page.locator("button.w[tabindex='0']").count() == 1
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input:not([hidden]), canvas')].filter((node) => node.offsetParent &&"
        " !(node.textContent.trim() || node.ariaLabel || node.labels?.length)).length"
    )
    assert unnamed == 0
    visit.clean()


@pytest.mark.parametrize("width", [1400, 390, 320])
def test_nothing_sticks_out(browser: Any, server: Running, width: int) -> None:
    visit = Visit(browser, server.address, viewport={"width": width, "height": 844}, color_scheme="dark")
    visit.transcribe(SAMPLES / "bread.wav", SAMPLES / "lamp.wav")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.clean()
