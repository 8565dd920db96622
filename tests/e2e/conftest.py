"""One real stack, shared by the end-to-end tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.browsing import CHROMIUM, PAGE_MS, QUIET, visit
from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The five services and the worker, ready, on the embedded models."""
    running = Stack(tmp_path_factory.mktemp("stack"))
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PAGE_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh visitor at the desk, on the home page."""
    yield from visit(browser, stack, 1280, 800)


@pytest.fixture
def phone(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh visitor with a small phone."""
    yield from visit(browser, stack, 360, 740)
