"""The pages, as a person uses them: a real Chromium on the real stack.

What the browser complains about on its console (scripts and styles that the Content-Security-Policy refuses, errors of
the page) fails the test that met it.
"""

import re
import shutil
from collections.abc import Iterator

import pytest
import urllib3
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

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
ANSWER_MS = 90_000
RECOVERY_MS = 60_000
# What a service that is down, or a refused token, makes the browser write; everything else is a fault of the page.
EXPECTED = re.compile(r"the server responded with a status of (400|401|413|415|422|503)|ERR_CONNECTION_REFUSED")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (ROOT / "app/web/dist/index.html").is_file(), reason="the page is not built (app/web/dist)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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


def visit(browser: Browser, stack: Stack, width: int, height: int) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": height}, locale="fr-FR")
    faults: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not EXPECTED.search(message.text):
            faults.append(message.text)

    page = context.new_page()
    page.on("console", heard)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(stack.app_url)
    yield page
    context.close()
    assert faults == []


def test_sample_meeting_to_its_diagram(page: Page) -> None:
    expect(page).to_have_url(re.compile("/reunions$"))
    expect(page).to_have_title("Réunions · Frigo")
    page.get_by_role("button", name="Essayer avec l'exemple").click()
    expect(page).to_have_url(re.compile("/reunions/.+"))
    expect(page.get_by_text("Exemple synthétique")).to_be_visible()
    steps = page.get_by_role("region", name="Étapes")
    expect(steps.get_by_role("listitem")).to_have_count(5)

    expect(page.get_by_text("Terminée").first).to_be_visible(timeout=MEETING_MS)
    expect(page.get_by_text("Moteur de démonstration", exact=False).first).to_be_visible()
    drawing = page.get_by_test_id("diagram").locator("svg")
    expect(drawing).to_be_visible(timeout=30_000)
    assert drawing.locator("g.node").count() >= 2

    transcript = page.get_by_role("region", name="Transcription")
    assert transcript.get_by_role("button", name=re.compile("Écouter à partir de")).count() >= 4
    expect(page.get_by_role("region", name="Compte rendu").get_by_role("paragraph").first).not_to_be_empty()

    # A name given to a voice is everywhere, and kept.
    page.get_by_role("button", name="Renommer Intervenant 1").click()
    page.get_by_label("Qui parle ?").last.fill("Julia Test")
    page.get_by_role("button", name="Enregistrer").click()
    expect(transcript.get_by_text("Julia Test").first).to_be_visible()
    page.reload()
    expect(transcript.get_by_text("Julia Test").first).to_be_visible()

    # A click on a word plays it.
    word = transcript.locator("[data-start]").nth(12)
    start = float(word.get_attribute("data-start") or "-1")
    word.click()
    page.wait_for_function("start => document.querySelector('audio').currentTime > start", arg=start)
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("document.querySelector('audio').currentTime") < start + 10

    # The drawing goes into a file that stands alone.
    page.get_by_role("button", name="Télécharger", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=re.compile("SVG")).click()
    svg = download.value.path().read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "<script" not in svg

    page.get_by_role("link", name="Toutes les réunions").click()
    expect(page.get_by_role("listitem").filter(has_text="Voix de synthèse").first).to_be_visible()


def test_what_is_not_a_recording_is_said(page: Page) -> None:
    page.get_by_test_id("recording").set_input_files(
        {"name": "notes.wav", "mimeType": "audio/wav", "buffer": b"ceci n'est pas un enregistrement " * 40}
    )
    page.get_by_label("Titre", exact=True).fill("Pas un enregistrement")
    page.get_by_role("button", name="Analyser").click()
    expect(page.get_by_role("alert").first).to_be_visible(timeout=MEETING_MS)
    expect(page.get_by_role("alert").first).not_to_contain_text("Traceback")


def test_chat_streams_and_stops(page: Page) -> None:
    page.get_by_role("link", name="Discussion").click()
    expect(page).to_have_title("Discussion · Frigo")
    page.evaluate(
        """() => {
            window.lengths = new Set();
            new MutationObserver(() => {
                const answer = [...document.querySelectorAll('article')].at(-1);
                if (answer) window.lengths.add(answer.textContent.length);
            }).observe(document.getElementById('contenu'), { subtree: true, childList: true, characterData: true });
        }"""
    )
    page.get_by_role("button", name="Que sait faire Frigo").click()
    expect(page.get_by_text(re.compile(r"\d+ jetons \(\d+ lus, \d+ écrits\)"))).to_be_visible(timeout=ANSWER_MS)
    assert page.evaluate("window.lengths.size") >= 3, "the answer came in one piece"

    page.get_by_role("textbox").fill("Raconte en détail tout ce que tu sais faire, étape par étape.")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Arrêter").click()
    expect(page.get_by_text("Réponse arrêtée.")).to_be_visible()
    expect(page.get_by_role("button", name="Envoyer")).to_be_visible()
    expect(page.get_by_role("button", name="Refaire la réponse")).to_be_visible()

    # Kept in the browser.
    page.reload()
    page.get_by_role("button", name="Que sait faire Frigo ?", exact=True).first.click()
    expect(page.get_by_text("Réponse arrêtée.")).to_be_visible()


def test_chat_draws_a_process(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("link", name="Discussion").click()
    page.get_by_role("main").get_by_role("button", name="Dessiner un processus").first.click()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Voici le processus")).to_be_visible(timeout=ANSWER_MS)
    drawing = page.get_by_test_id("diagram").locator("svg")
    expect(drawing).to_be_visible(timeout=30_000)
    assert drawing.locator("g.node").count() >= 2
    assert drawing.evaluate(
        """svg => {
            const { x, y, width, height } = svg.getBBox();
            const frame = svg.viewBox.baseVal;
            return x >= frame.x - 1 && y >= frame.y - 1
                && x + width <= frame.x + frame.width + 1 && y + height <= frame.y + frame.height + 1;
        }"""
    ), "the drawing is cut at its edges"
    page.get_by_text("Texte Mermaid").click()
    expect(page.get_by_text(re.compile("^flowchart ")).first).to_be_visible()


def test_supervision_shows_every_model(page: Page, stack: Stack) -> None:
    page.get_by_role("link", name="Supervision").click()
    expect(page.get_by_text("répond", exact=True).first).to_be_visible()
    page.get_by_label("Jeton", exact=True).fill("faux")
    page.get_by_role("button", name="Ouvrir").click()
    expect(page.get_by_text("Ce jeton a été refusé.")).to_be_visible()

    page.get_by_label("Jeton", exact=True).fill(stack.admin_token)
    page.get_by_role("button", name="Ouvrir").click()
    expect(page.get_by_text("Mémoire", exact=True)).to_be_visible()
    answer = urllib3.request(
        "GET", f"{stack.app_url}/api/admin/status", headers={"Authorization": f"Bearer {stack.admin_token}"}
    )
    keys = {model["key"] for service in answer.json()["services"] for model in service["models"]}
    assert len(keys) >= 3
    for key in keys:
        expect(page.locator(f'[data-model="{key}"]')).to_be_visible()
    ready = page.locator("[data-state=ready]")
    assert ready.count() >= 3


def test_a_service_that_is_down_is_named_until_it_is_back(page: Page, stack: Stack) -> None:
    banner = page.get_by_role("status").filter(has_text="diarize ne répond pas")
    stack.kill("diarize")
    expect(banner).to_be_visible(timeout=RECOVERY_MS)
    stack.restart("diarize")
    expect(banner).to_be_hidden(timeout=RECOVERY_MS)


def test_language_is_switched_and_remembered(page: Page) -> None:
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Meetings")).to_be_visible()
    page.reload()
    expect(page).to_have_title("Meetings · Frigo")
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("path", ["/reunions", "/discussion", "/supervision"])
def test_fits_a_phone_and_names_every_control(phone: Page, stack: Stack, path: str) -> None:
    phone.goto(f"{stack.app_url}{path}")
    expect(phone.get_by_role("heading", level=1)).to_be_attached()
    phone.wait_for_load_state("networkidle")
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    nameless = phone.evaluate(
        """() => [...document.querySelectorAll('button, a, input:not([hidden]), textarea')]
            .filter((e) => e.getAttribute('aria-hidden') !== 'true')
            .filter((e) => !(e.textContent || e.ariaLabel || e.title || e.labels?.length))
            .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
