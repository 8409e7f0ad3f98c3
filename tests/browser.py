"""Pages in headless Chromium: the browser, a page that remembers what it said and asked for, and waiting."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """Chromium with these flags beside `FLAGS`; the test is skipped where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright from PyPI")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs the Debian package chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield opened
        opened.close()


class Visit:
    """An opened page that remembers its console and its requests; `own` begins the addresses that it may ask for."""

    def __init__(self, browser: Any, address: str, own: tuple[str, ...], **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.own = own
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def clean(self) -> None:
        """Nothing on the console, and nothing asked of anybody else."""
        assert self.messages == []
        assert [url for url in self.requests if not url.startswith(self.own)] == []


def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait in Python: the page's policy forbids the evaluated waits of the driver, as it should."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
