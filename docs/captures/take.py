"""Take the screenshots of this folder from a stack that runs (`make run`).

    .venv/bin/python docs/captures/take.py [http://127.0.0.1:5000] --token "$(cat data/admin_token)"

The meeting shown is the newest one that is done; the sample is analysed first when there is none.
"""

import argparse
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).parent
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
LOOKS = (("", DESK, "light"), ("-sombre", DESK, "dark"), ("-telephone", PHONE, "light"))
PROCESS = (
    "Le client envoie une demande. Le système vérifie le stock. Si le produit est disponible, "
    "le magasinier prépare la commande. Sinon, le service achats commande la pièce."
)
KEYS = (
    {"name": "Atelier", "models": ["frigo-mini"], "requests_per_minute": 60, "tokens_per_day": 200_000},
    {"name": "Open WebUI"},
)
QUESTIONS = ("Que sait faire Frigo ?", "Où vont mes données ?", "Comment changer de modèle ?")
MEETING_MS = 300_000
ANSWER_MS = 120_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Prend les captures d'écran de la documentation.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:5000", help="adresse de la page")
    parser.add_argument("--token", required=True, help="jeton de la supervision")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        meeting = done_meeting(browser, options.url)
        for suffix, viewport, scheme in LOOKS:
            page = visit(browser, viewport, scheme)
            page.goto(f"{options.url}/reunions/{meeting}")
            expect(page.get_by_test_id("diagram").locator("svg")).to_be_visible(timeout=30_000)
            shoot(page, f"reunion{suffix}")
            page.goto(f"{options.url}/reunions")
            expect(page.get_by_role("listitem").first).to_be_visible()
            shoot(page, f"reunions{suffix}")
            page.goto(f"{options.url}/discussion")
            page.get_by_role("button", name="Que sait faire Frigo").click()
            expect(page.get_by_text(re.compile(r"\d jetons"))).to_be_visible(timeout=ANSWER_MS)
            page.get_by_role("button", name="Dessiner un processus").click()
            page.get_by_role("textbox").fill(PROCESS)
            page.keyboard.press("Enter")
            expect(page.get_by_test_id("diagram").locator("svg")).to_be_visible(timeout=ANSWER_MS)
            shoot(page, f"discussion{suffix}")
            page.goto(f"{options.url}/voix")
            expect(page.get_by_label("Nom de la personne")).to_be_visible()
            shoot(page, f"voix{suffix}")
            draw(page, options.url)
            shoot(page, f"diagrammes{suffix}")
            page.goto(f"{options.url}/supervision")
            page.get_by_label("Jeton", exact=True).fill(options.token)
            page.get_by_role("button", name="Ouvrir").click()
            expect(page.get_by_text("Mémoire", exact=True)).to_be_visible()
            shoot(page, f"supervision{suffix}")
            with keys_shown(options.url, options.token):
                keys = page.get_by_role("region", name="Clés d'API")
                expect(keys.get_by_test_id("usage")).to_be_visible(timeout=ANSWER_MS)
                keys.evaluate("card => window.scrollTo(0, scrollY + card.getBoundingClientRect().top - 72)")
                shoot(page, f"cles{suffix}")
            page.context.close()
        browser.close()


def visit(browser: Browser, viewport: Any, scheme: Any) -> Page:
    context = browser.new_context(viewport=viewport, color_scheme=scheme, locale="fr-FR", reduced_motion="reduce")
    return context.new_page()


def done_meeting(browser: Browser, url: str) -> str:
    """Id of the newest meeting that is done with a diagram."""
    meetings = urllib3.request("GET", f"{url}/api/meetings").json()["data"]
    for meeting in meetings:
        if all(step["state"] == "done" for step in meeting["steps"]):
            return str(meeting["id"])
    page = visit(browser, DESK, "light")
    page.goto(url)
    page.get_by_role("button", name="Essayer avec l'exemple").click()
    expect(page.get_by_text("Terminée").first).to_be_visible(timeout=MEETING_MS)
    meeting_id = page.url.rsplit("/", 1)[1]
    page.context.close()
    return meeting_id


def draw(page: Page, url: str) -> None:
    """A text drawn, with the words that one of its steps comes from."""
    page.goto(f"{url}/diagrammes")
    page.get_by_label("Texte à dessiner").fill(PROCESS)
    page.get_by_role("button", name="Dessiner", exact=True).click()
    drawing = page.get_by_test_id("diagram").locator("svg")
    expect(drawing).to_be_visible(timeout=ANSWER_MS)
    drawing.get_by_role("button", name=re.compile("disponible")).click()


@contextmanager
def keys_shown(url: str, token: str) -> Iterator[None]:
    """Keys made for a picture and erased after it, as none can be left: the calls of the others would need one."""
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{url}/api/admin/keys"
    if urllib3.request("GET", address, headers=headers).json()["keys"]:
        raise SystemExit("Ce Frigo a déjà des clés : les captures se prennent sur un autre.")
    made = [urllib3.request("POST", address, headers=headers, json=key).json() for key in KEYS]
    try:
        for key, question in zip([made[0], made[0], made[1]], QUESTIONS, strict=True):
            body = {"model": "default", "messages": [{"role": "user", "content": question}]}
            as_holder = {"Authorization": f"Bearer {key['key']}"}
            urllib3.request("POST", f"{url}/v1/chat/completions", json=body, headers=as_holder)
        yield
    finally:
        for key in made:
            urllib3.request("DELETE", f"{address}/{key['id']}?forget=true", headers=headers)


def shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(700)  # fonts, the last frame of a transition
    page.mouse.move(0, 0)
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
