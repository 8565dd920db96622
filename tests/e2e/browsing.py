"""A real Chromium on the real stack.

What the browser complains about on its console (scripts and styles that the Content-Security-Policy refuses, errors of
the page) fails the test that met it.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page
from playwright.sync_api import TimeoutError as PageTimeoutError

from scripts.environment import ROOT
from tests.e2e.stack import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
MEETING_MS = 240_000
PAGE_MS = 60_000  # what a page waits for is the server's, which may have much else to do
# What a service that is down, or a refused token, makes the browser write; everything else is a fault of the page.
EXPECTED = re.compile(r"the server responded with a status of (400|401|403|413|415|422|503)|ERR_CONNECTION_REFUSED")

NEEDS = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (ROOT / "app/web/dist/index.html").is_file(), reason="the page is not built (app/web/dist)"),
]


def visit(browser: Browser, stack: Stack, width: int, height: int) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": height}, locale="fr-FR")
    faults: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not EXPECTED.search(message.text):
            faults.append(message.text)

    context.set_default_timeout(PAGE_MS)
    page = context.new_page()
    page.on("console", heard)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(stack.app_url)
    yield page
    context.close()
    assert faults == []


def settled(page: Page) -> None:
    """Wait until the page asks for nothing more, or for long: some look again and again."""
    with contextlib.suppress(PageTimeoutError):
        page.wait_for_load_state("networkidle", timeout=10_000)
