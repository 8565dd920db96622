"""API keys in the supervision, in a real Chromium; and what axe-core says of every page."""

import re
import time
from collections.abc import Iterator

import pytest
import urllib3
from playwright.sync_api import Page, expect

from tests.e2e.accessibility import faults
from tests.e2e.browsing import NEEDS, settled
from tests.e2e.stack import Stack

COUNTED_SECONDS = 60
PAGES = ["/reunions", "/voix", "/discussion", "/diagrammes", "/supervision"]

pytestmark = NEEDS


@pytest.fixture
def no_keys(stack: Stack) -> Iterator[None]:
    """No key before, none after: the other tests call /v1 without one."""

    def forget() -> None:
        headers = {"X-Admin-Token": stack.admin_token}
        url = f"{stack.app_url}/api/admin/keys"
        for key in urllib3.request("GET", url, headers=headers).json()["keys"]:
            urllib3.request("DELETE", f"{url}/{key['id']}?forget=true", headers=headers)

    forget()
    yield
    forget()


def ask(stack: Stack, key: str) -> int:
    """The status of a question asked with `key`."""
    body = {"model": "default", "messages": [{"role": "user", "content": "Bonjour"}], "max_tokens": 4}
    headers = {"Authorization": f"Bearer {key}"}
    return urllib3.request("POST", f"{stack.app_url}/v1/chat/completions", json=body, headers=headers).status


def wait_counted(stack: Stack) -> None:
    """Until a request was counted: usage is written each second."""
    url, headers = f"{stack.app_url}/api/admin/keys", {"X-Admin-Token": stack.admin_token}
    deadline = time.monotonic() + COUNTED_SECONDS
    while urllib3.request("GET", url, headers=headers).json()["keys"][0]["today"]["requests"] == 0:
        assert time.monotonic() < deadline, "the request was never counted"
        time.sleep(0.1)


def open_supervision(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.app_url}/supervision")
    page.get_by_label("Jeton", exact=True).fill(stack.admin_token)
    page.get_by_role("button", name="Ouvrir").click()
    expect(page.get_by_text("Mémoire", exact=True)).to_be_visible()


@pytest.mark.usefixtures("no_keys")
def test_a_key_is_made_shown_once_limited_followed_revoked_and_erased(page: Page, stack: Stack) -> None:
    open_supervision(page, stack)
    card = page.get_by_role("region", name="Clés d'API")
    expect(card.get_by_test_id("no-keys")).to_contain_text("Aucune clé")
    card.get_by_role("button", name="Faire une clé").click()
    dialog = page.get_by_role("dialog")
    make = dialog.get_by_role("button", name="Faire une clé")
    expect(make).to_be_disabled()
    dialog.get_by_label("Nom").fill("Atelier")
    dialog.get_by_label("Jetons par jour").fill("beaucoup")
    expect(dialog.get_by_text("Attendu\u00a0: un nombre entier.")).to_be_visible()
    expect(make).to_be_disabled()
    dialog.get_by_label("Jetons par jour").fill("200 000")
    dialog.get_by_label("Modèles permis").fill("frigo-mini")
    page.keyboard.press("Enter")
    make.click()
    secret = page.get_by_test_id("secret").inner_text()
    assert re.fullmatch(r"sk-frigo-[0-9a-f]{16}-[\w-]{43}", secret)
    page.get_by_role("dialog").press("Escape")  # it can only be left by saying that it was copied
    page.get_by_role("button", name="Je l'ai copiée").click()
    expect(page.get_by_text(secret)).to_have_count(0)

    row = card.locator("[data-key=Atelier]")
    expect(row).to_contain_text("active")
    expect(row).to_contain_text(re.compile(r"sans fin · frigo-mini · 200.000 jetons/jour"))
    assert (ask(stack, secret), ask(stack, "sk-frigo-autre")) == (200, 401)
    wait_counted(stack)
    page.reload()
    expect(row).to_contain_text(re.compile(r"1 demande, \d+ jetons"))
    expect(card.get_by_test_id("usage")).to_have_attribute(
        "aria-label", re.compile(r"[1-9]\d* jetons lus, 4 jetons écrits")
    )
    card.get_by_text("Voir les chiffres").click()
    total = card.get_by_role("row").filter(has_text="Total").get_by_role("cell")
    expect(total.first).to_have_text("1")
    assert faults(page, within="section:has([data-key])") == []

    row.get_by_role("button", name="Modifier").click()
    dialog.get_by_label("Demandes par minute").fill("1")
    dialog.get_by_role("button", name="Enregistrer").click()
    expect(row).to_contain_text("1 demande/min")
    assert [ask(stack, secret) for _ in range(2)] == [200, 429]

    row.get_by_role("button", name="Révoquer").click()
    dialog.get_by_role("button", name="Révoquer").click()
    expect(row).to_contain_text("révoquée")
    assert ask(stack, secret) == 401
    row.get_by_role("button", name="Effacer").click()
    dialog.get_by_role("button", name="Effacer").click()
    expect(card.get_by_test_id("no-keys")).to_be_visible()


def test_every_page_can_be_used_by_everybody(page: Page, stack: Stack) -> None:
    for path in PAGES:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(f"{stack.app_url}{path}")
        expect(page.get_by_role("heading", level=1)).to_be_attached()
        settled(page)
        assert faults(page) == [], path
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert faults(page, "color-contrast") == [], f"{path}, dark"
