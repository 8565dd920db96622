"""The pages, as a person uses them: a real Chromium on the real stack.

What the browser complains about on its console fails the test that met it: see `tests.e2e.browsing`.
"""

import json
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from playwright.sync_api import Browser, Locator, Page, expect

from scripts.stack import prepare
from tests.e2e.accessibility import faults
from tests.e2e.browsing import MEETING_MS, NEEDS, settled, visit
from tests.e2e.stack import Stack
from tests.hub_server import Fault, HubServer

RECOVERY_MS = 60_000
OUTSIDER, CLOSED, SPEECH = "someone/small-model", "someone/closed-model", "openai/whisper-base"

pytestmark = NEEDS


@pytest.fixture(scope="module")
def hub_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """app, gpt and asr alone, gpt left to choose its model, in front of a slow hub.

    It has two language models of no catalogue, and a speech model of asr's.
    """
    folder = tmp_path_factory.mktemp("hub-stack")
    repo = write_model(folder / "repo", mebibytes=40)
    hub = HubServer({OUTSIDER: repo, CLOSED: repo, SPEECH: write_speech_model(folder / "speech", repo)})
    hub.faults += [Fault(CLOSED, status=403, error_code="GatedRepo"), Fault("model.safetensors", slow=0.05)]
    hub.start()
    running = Stack(folder, HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.url, IA_MODEL="auto")
    running.logs.mkdir()
    try:
        prepare(running.env)
        running._start("app")  # never ready: its other peers are not there
        running.restart("gpt")
        running.restart("asr")
        yield running
    finally:
        running.close()
        hub.stop()


@pytest.fixture
def supervision(browser: Browser, hub_stack: Stack) -> Iterator[Page]:
    """The supervision of `hub_stack`, opened."""
    for page in visit(browser, hub_stack, 1280, 800):
        page.goto(f"{hub_stack.app_url}/supervision")
        page.get_by_label("Jeton", exact=True).fill(hub_stack.admin_token)
        page.get_by_role("button", name="Ouvrir").click()
        expect(page.get_by_text("Mémoire", exact=True)).to_be_visible()
        yield page


def write_model(folder: Path, mebibytes: int) -> Path:
    """What the hub needs to describe and send a model that is never opened: its weights are zeros."""
    folder.mkdir()
    shape = {"hidden_size": 1024, "num_hidden_layers": 1, "num_attention_heads": 8, "vocab_size": mebibytes * 512}
    config = {"model_type": "llama", "intermediate_size": 64, "max_position_embeddings": 512, **shape}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    tensor = {"dtype": "F16", "shape": [mebibytes * 512, 1024], "data_offsets": [0, mebibytes * 2**20]}
    header = json.dumps({"model.embed_tokens.weight": tensor}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + mebibytes * 2**20)
    return folder


def write_speech_model(folder: Path, language_model: Path) -> Path:
    """The same for a speech model, with another model's weights."""
    shutil.copytree(language_model, folder)
    shape = {"d_model": 1024, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 20480, "num_mel_bins": 80}
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper", **shape}), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    return folder


def test_sample_meeting_to_its_diagram(page: Page) -> None:
    expect(page).to_have_url(re.compile("/reunions$"))
    expect(page).to_have_title("Réunions · Frigo")
    page.get_by_role("button", name="Essayer avec l'exemple").click()
    expect(page).to_have_url(re.compile("/reunions/.+"))
    expect(page.get_by_text("Exemple synthétique")).to_be_visible()
    steps = page.get_by_role("region", name="Étapes")
    expect(steps.get_by_role("listitem")).to_have_count(5)
    expect(steps.get_by_text(re.compile(r"\d:\d\d sur 1:15")).first).to_be_visible(timeout=MEETING_MS)

    expect(page.get_by_text("Terminée").first).to_be_visible(timeout=MEETING_MS)
    expect(steps.get_by_role("listitem").first).to_contain_text("le temps réel")
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
    heard = "start => { const at = document.querySelector('audio').currentTime; return at > start && at; }"
    assert page.wait_for_function(heard, arg=start).json_value() < start + 10
    page.get_by_role("button", name="Pause").click()

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


def ask_of_the_hub(page: Page, name: str) -> None:
    form = page.get_by_role("region", name="Modèles de langue").locator("form")
    form.get_by_label("Un autre modèle du hub").fill(name)
    form.get_by_role("button", name="Charger").click()


def figures(row: Locator) -> str:
    return row.get_by_text(re.compile(r"sur 41,9\sMo")).inner_text()


def test_a_model_of_the_hub_comes_with_its_progress_and_is_stopped(supervision: Page) -> None:
    ask_of_the_hub(supervision, f"https://huggingface.co/{OUTSIDER}/tree/main")
    row = supervision.locator(f'[data-model="{OUTSIDER}"]')
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"[1-9]"))
    expect(row.get_by_text(re.compile(r"[1-9].*Mo sur 41,9\sMo · \d+\s%"))).to_be_visible()
    box, before = row.bounding_box(), figures(row)
    expect(row.get_by_text(re.compile(r"encore \d+\s(s|min)"))).to_be_visible()
    expect(row.get_by_text(before)).to_have_count(0)
    assert row.bounding_box() == box, "the page moves under the reader while figures change"
    expect(supervision.get_by_text("en attendant, frigo-mini répond")).to_be_visible()

    row.get_by_role("button", name=f"Annuler {OUTSIDER}").click()
    expect(row.get_by_text("Pas téléchargé")).to_be_visible()
    expect(row.get_by_text(re.compile(r"gardés\s: reprise possible"))).to_be_visible()
    expect(row.get_by_role("button", name=f"Reprendre {OUTSIDER}")).to_be_enabled()
    expect(supervision.get_by_text("en attendant, frigo-mini répond")).to_be_hidden()


def test_a_speech_model_comes_with_its_progress_and_is_stopped(supervision: Page) -> None:
    row = supervision.locator('[data-model="whisper-base"]')
    row.get_by_role("button", name="Télécharger whisper-base").click()
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"[1-9]"))
    expect(row.get_by_text(re.compile(r"[1-9].*Mo sur 41,9\sMo · \d+\s%"))).to_be_visible()
    row.get_by_role("button", name="Annuler whisper-base").click()
    expect(row.get_by_text(re.compile(r"gardés\s: reprise possible"))).to_be_visible()
    expect(row.get_by_role("button", name="Reprendre whisper-base")).to_be_enabled()


def test_a_model_with_terms_leads_to_them(supervision: Page) -> None:
    ask_of_the_hub(supervision, CLOSED)
    terms = supervision.get_by_role("alert").get_by_role("link", name=CLOSED)
    expect(terms).to_have_attribute("target", "_blank")
    expect(supervision.locator(f'[data-model="{CLOSED}"]')).to_have_count(0)


def test_what_was_put_aside_is_told_with_its_reason(supervision: Page, hub_stack: Stack) -> None:
    answer = urllib3.request(
        "GET", f"{hub_stack.app_url}/api/admin/status", headers={"Authorization": f"Bearer {hub_stack.admin_token}"}
    )
    selection = next(one for one in answer.json()["services"] if one["name"] == "gpt")["selection"]
    assert len(selection["rejected"]) > 5
    more = supervision.get_by_text(re.compile("autres modèles écartés, et pourquoi"))
    aside = supervision.get_by_role("list", name=re.compile("autres modèles écartés, et pourquoi"))
    expect(aside).to_be_hidden()
    more.focus()
    supervision.keyboard.press("Enter")
    expect(aside.get_by_role("listitem")).to_have_count(len(selection["rejected"]))
    for one in selection["rejected"]:
        row = aside.get_by_role("listitem").filter(has=supervision.get_by_text(one["key"], exact=True))
        expect(row).to_contain_text(one["reason"])


def test_adapters_say_how_to_begin_and_why_not(supervision: Page) -> None:
    card = supervision.get_by_role("region", name="Adaptateurs LoRA")
    expect(card.get_by_text("Aucun adaptateur")).to_be_visible()
    expect(card.get_by_text("DATA_DIR/adapters", exact=False).first).to_be_visible()
    card.get_by_label("Nom de l'adaptateur").fill("poésie")
    card.get_by_label("Dossier ou identifiant du hub").fill("/etc")
    card.get_by_role("button", name="Ajouter").click()
    expect(card.get_by_role("alert")).to_contain_text("DATA_DIR/adapters")
    expect(card.get_by_text("Aucun adaptateur")).to_be_visible()


def test_a_service_that_is_down_is_named_until_it_is_back(page: Page, stack: Stack) -> None:
    banner = page.get_by_role("status").filter(has_text="diarize ne répond pas")
    stack.kill("diarize")
    expect(banner).to_be_visible(timeout=RECOVERY_MS)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of its words
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        assert faults(page, "color-contrast", within="[role=status]") == [], scheme
    stack.restart("diarize")
    expect(banner).to_be_hidden(timeout=RECOVERY_MS)


def test_language_is_switched_and_remembered(page: Page) -> None:
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Meetings")).to_be_visible()
    page.reload()
    expect(page).to_have_title("Meetings · Frigo")
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("path", ["/reunions", "/voix", "/discussion", "/diagrammes", "/supervision"])
def test_fits_a_phone_and_names_every_control(phone: Page, stack: Stack, path: str) -> None:
    phone.goto(f"{stack.app_url}{path}")
    expect(phone.get_by_role("heading", level=1)).to_be_attached()
    settled(phone)
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    nameless = phone.evaluate(
        """() => [...document.querySelectorAll('button, a, input:not([hidden]), textarea')]
            .filter((e) => e.getAttribute('aria-hidden') !== 'true')
            .filter((e) => !(e.textContent || e.ariaLabel || e.title || e.labels?.length))
            .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
