"""The Space's page in Chromium, with the libraries that a Space without a GPU installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
TEXT = "Le client passe une commande. Le vendeur vérifie le stock. Le transporteur livre le colis."


@pytest.fixture
def address(sent: Path, tmp_path: Path) -> Iterator[str]:
    """The Space, running as Hugging Face starts it: a fresh environment, `python space.py`."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "-r", sent / "requirements.txt"]
    subprocess.run(install, check=True)
    port = free_port()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": str(port), "DATA_DIR": str(tmp_path / "data")}
    env |= {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONDONTWRITEBYTECODE": "1"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([python, "space.py"], cwd=sent, env=env, stdout=log, stderr=subprocess.STDOUT)
        url, limit = f"http://127.0.0.1:{port}/", time.monotonic() + 180
        try:
            while not _answers(url):
                assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
                assert time.monotonic() < limit, "the page does not answer"
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_a_person_draws_and_changes_a_diagram(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        message, send = page.get_by_label("Votre message"), page.get_by_role("button", name="Envoyer")
        message.fill(TEXT)
        send.click()
        expect(page.get_by_text("Voici le diagramme.")).to_be_visible(timeout=120_000)
        expect(page.locator("svg g.node")).not_to_have_count(0, timeout=60_000)
        message.fill("plus horizontal")
        send.click()
        expect(page.get_by_text("Diagramme modifié.")).to_be_visible(timeout=120_000)
        expect(page.get_by_text("flowchart LR").first).to_be_visible()
        browser.close()
