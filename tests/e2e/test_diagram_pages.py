"""The page of diagrams in a real Chromium: drawn, traced to its words, changed, written by hand, kept and exported."""

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.e2e.accessibility import faults
from tests.e2e.browsing import NEEDS, visit
from tests.e2e.stack import Stack

PHRASE = "le produit est disponible"
HOSTILE = """flowchart TD
    a["<img src='/intrus.png'><b>Étape</b>"] --> b
    click a "javascript:window.intrus=1"
"""

pytestmark = NEEDS


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh visitor on the page of diagrams."""
    for page in visit(browser, stack, 1280, 800):
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("link", name="Diagrammes").click()
        expect(page).to_have_title("Diagrammes · Frigo")
        yield page


def save(page: Page, item: str) -> Path:
    """The file that an item of the menu of exports gives."""
    page.get_by_role("button", name="Exporter le diagramme").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=item, exact=True).click()
    return Path(download.value.path())


def shown_at_twice(page: Page, png: bytes) -> bool:
    """Whether the picture has two pixels for one of the drawing, and something else than its ground."""
    size = page.evaluate(
        "() => { const { width, height } = document.querySelector('[data-testid=diagram] svg').viewBox.baseVal;"
        " return [2 * Math.ceil(width), 2 * Math.ceil(height)]; }"
    )
    return png[:8] == b"\x89PNG\r\n\x1a\n" and list(struct.unpack(">II", png[16:24])) == size and len(png) > 5000


def corner(page: Page, png: bytes) -> list[int]:
    """The first pixel of a picture: red, green, blue, opacity."""
    colour: list[int] = page.evaluate(
        """async (bytes) => {
            const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: 'image/png' }));
            const context = new OffscreenCanvas(1, 1).getContext('2d');
            context.drawImage(bitmap, 0, 0);
            return [...context.getImageData(0, 0, 1, 1).data];
        }""",
        list(png),
    )
    return colour


def test_a_text_is_drawn_traced_changed_kept_and_exported(page: Page) -> None:
    expect(page.get_by_text("Rien n'est encore dessiné")).to_be_visible()
    expect(page.get_by_role("button", name="Dessiner", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Prendre l'exemple").click()
    page.get_by_role("button", name="Dessiner", exact=True).click()
    drawing = page.get_by_test_id("diagram").locator("svg")
    expect(drawing).to_be_visible()
    expect(page.get_by_test_id("facts")).to_contain_text("Vérifié par le parseur de Mermaid · par frigo-mini")

    # A click on a step, or Enter, shows its words in the text.
    step = page.get_by_role("button", name=f"Voir d'où vient «\u00a0{PHRASE}\u00a0»")
    step.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("mark")).to_have_text(PHRASE)
    expect(page.get_by_test_id("words").locator("mark")).to_have_text(PHRASE)
    page.get_by_role("button", name="Sélectionner dans le texte").click()
    assert page.evaluate("getSelection().toString()") == PHRASE
    assert faults(page) == []

    # Changed by saying so, undone, and done again.
    page.get_by_role("button", name="plus horizontal").click()
    second = page.get_by_role("button", name="Version 2\u00a0: plus horizontal")
    expect(second).to_have_attribute("aria-current", "true")
    assert save(page, "Mermaid (.mmd)").read_text(encoding="utf-8").startswith("flowchart LR")
    page.get_by_role("button", name="Revenir à la version précédente").click()
    expect(second).not_to_have_attribute("aria-current", "true")
    assert save(page, "Mermaid (.mmd)").read_text(encoding="utf-8").startswith("flowchart TD")

    # What the small model cannot do is said where it was asked, with what can be done.
    page.get_by_label("Ce qu'il faut changer").fill("traduis tout en espagnol")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("frigo-mini ne sait pas modifier un diagramme")

    page.reload()
    expect(page.get_by_label("Texte à dessiner")).to_have_value(re.compile("Le client envoie une demande"))
    expect(drawing).to_be_visible()
    page.get_by_role("button", name="Refaire", exact=True).click()
    expect(second).to_have_attribute("aria-current", "true")

    white, clear = (save(page, f"Image PNG, fond {ground}").read_bytes() for ground in ("blanc", "transparent"))
    assert shown_at_twice(page, white)
    assert (corner(page, white), corner(page, clear)[3]) == ([255, 255, 255, 255], 0)
    assert save(page, "Image SVG").read_text(encoding="utf-8").startswith("<svg")
    page.get_by_role("button", name="Exporter le diagramme").click()
    live = page.get_by_role("menuitem", name=re.compile("mermaid.live"))
    expect(live).to_have_attribute("href", re.compile("^https://mermaid.live/edit#pako:"))
    expect(live).to_have_attribute("rel", "noopener noreferrer")


def test_mermaid_is_written_by_hand_under_the_parsers_eye(page: Page) -> None:
    page.get_by_role("button", name="Écrire le Mermaid").click()
    editor = page.get_by_role("textbox", name="Texte Mermaid")
    verdict = page.get_by_test_id("verdict")
    keep = page.get_by_role("button", name="Garder cette version")
    editor.fill("flowchart TD\n    a --> b\n    b --> ((")
    expect(verdict).to_contain_text("Ligne 3")
    expect(verdict).to_contain_text("Parse error on line 3")
    expect(page.get_by_test_id("mark")).to_have_text("    b --> ((")
    expect(keep).to_be_disabled()
    page.get_by_role("button", name="Aller à la ligne 3").click()
    assert page.evaluate("getSelection().toString()") == "    b --> (("

    # A label is a text: what is HTML in it is neither drawn as such nor fetched, and no link leads to a script.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    editor.fill(HOSTILE)
    expect(verdict).to_contain_text("Valide (Organigramme)")
    editor.press("Control+Enter")
    expect(page.get_by_role("button", name="Version 1\u00a0: Écrit à la main")).to_be_visible()
    drawing = page.get_by_test_id("diagram").locator("svg")
    expect(drawing).to_be_visible()
    assert drawing.locator("img, image, b, script, foreignObject").count() == 0
    assert "javascript" not in drawing.inner_html()
    assert not [url for url in asked if "intrus" in url]


def test_a_vision_board_is_read_in_a_file_and_what_is_odd_is_said(page: Page) -> None:
    board = {"1. Utilisateur Cible": ["Bibliothécaires"], "3. Fonctionnalités Clés": ["Rechercher un livre"]}
    content = json.dumps(board).encode()
    page.get_by_test_id("source-file").set_input_files(
        FilePayload(name="pvb.json", mimeType="application/json", buffer=content)
    )
    expect(page.get_by_label("1. Utilisateur cible")).to_have_value("Bibliothécaires")
    page.get_by_label("3. Fonctionnalités clés").fill("Rechercher un livre\nRéserver un livre")
    page.get_by_role("button", name="Dessiner", exact=True).click()
    drawing = page.get_by_test_id("diagram").locator("svg")
    expect(drawing).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="Sections absentes")).to_contain_text("Summary")
    drawing.get_by_role("button").first.click()
    expect(page.get_by_label("Texte lu dans le Vision Board")).to_have_value(re.compile("Réserver un livre"))
    page.get_by_role("button", name="JSON").click()
    expect(page.get_by_label("Product Vision Board, en JSON")).to_have_value(re.compile('"Réserver un livre"'))
    assert faults(page) == []

    # Another kind needs another model, and the refusal says so.
    page.get_by_role("combobox", name="Type").click()
    page.get_by_role("option", name="Séquence").click()
    page.get_by_role("button", name="Redessiner").click()
    expect(page.get_by_role("alert").filter(has_text="pas pu être dessiné")).to_contain_text("frigo-mini")
