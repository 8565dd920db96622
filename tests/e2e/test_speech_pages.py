"""What a person does about speech in the pages: voices to know again, what is said of a recording, speech models."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import urllib3
from playwright.sync_api import Page, expect

from common.audio.decode import SPEECH_RATE, AudioReader
from common.audio.wav import write_wav
from scripts.environment import ROOT
from tests.e2e.browsing import MEETING_MS, NEEDS
from tests.e2e.stack import Stack

SAMPLE = ROOT / "app" / "sample" / "reunion-exemple.ogg"
JULIA, BOTH = (1.0, 7.1), (0.5, 14.0)
"""Seconds of the sample in which she speaks alone, and in which both speak."""
VOICE_MS = 60_000

pytestmark = NEEDS


@pytest.fixture
def no_voices(stack: Stack) -> Iterator[str]:
    """The address of the known voices; none before, none after."""
    url = f"{stack.app_url}/api/diarization/voices"

    def forget() -> None:
        for voice in urllib3.request("GET", url).json()["data"]:
            urllib3.request("DELETE", f"{url}/{voice['id']}")

    forget()
    yield url
    forget()


def cut(folder: Path, span: tuple[float, float], name: str) -> Path:
    """These seconds of the sample, as a WAV file."""
    rate, (start, end) = SPEECH_RATE, span
    pieces, at = [], 0
    for block in AudioReader(SAMPLE).blocks():
        pieces.append(block[max(0, round(start * rate) - at) : max(0, round(end * rate) - at)])
        at += block.size
    write_wav(folder / name, pieces, rate)
    return folder / name


def open_supervision(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.app_url}/supervision")
    page.get_by_label("Jeton", exact=True).fill(stack.admin_token)
    page.get_by_role("button", name="Ouvrir").click()
    expect(page.get_by_text("Mémoire", exact=True)).to_be_visible()


def test_a_voice_is_added_found_again_renamed_and_forgotten(
    page: Page, stack: Stack, no_voices: str, tmp_path: Path
) -> None:
    page.get_by_role("link", name="Voix", exact=True).click()
    expect(page).to_have_title("Voix connues · Frigo")
    expect(page.get_by_text("Aucune voix connue")).to_be_visible()
    expect(page.get_by_text("Retenir cette voix")).to_be_visible()

    # What is too short is refused, and the reason told.
    page.get_by_label("Nom de la personne").fill("Julia")
    page.get_by_test_id("sample").set_input_files(cut(tmp_path, (1.0, 1.5), "court.wav"))
    page.get_by_role("button", name="Retenir la voix").click()
    expect(page.get_by_role("alert")).to_contain_text("3 à 60 secondes", timeout=VOICE_MS)
    page.get_by_test_id("sample").set_input_files(cut(tmp_path, JULIA, "julia.wav"))
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Retenir la voix").click()
    row = page.get_by_role("list", name="Voix connues").get_by_role("listitem")
    expect(row).to_contain_text("Julia", timeout=VOICE_MS)
    expect(row).to_contain_text("modèle resemblyzer")

    # A recording in which she speaks says so; what was said of it before it was sent is sent.
    page.get_by_role("link", name="Réunions").click()
    page.get_by_test_id("recording").set_input_files(cut(tmp_path, BOTH, "point_du_lundi.wav"))
    expect(page.get_by_label("Titre", exact=True)).to_have_value("point du lundi")
    page.get_by_label("Langue parlée").click()
    page.get_by_role("option", name="Anglais").click()
    page.get_by_label("Nombre de personnes").click()
    page.get_by_role("option", name="Entre… et…").click()
    page.get_by_label("Au plus").click()
    page.get_by_role("option", name="3 personnes", exact=True).click()
    page.get_by_role("button", name="Analyser").click()
    expect(page).to_have_url(re.compile("/reunions/.+"))
    assert told(stack, page.url.rsplit("/", 1)[1]) == ("point du lundi", "en", None, 2, 3)
    transcript = page.get_by_role("region", name="Transcription")
    expect(transcript.get_by_role("link", name=re.compile("Sous-titres SRT"))).to_be_visible(timeout=MEETING_MS)
    speakers = page.get_by_role("region", name="Qui parle ?")
    expect(speakers.get_by_text(re.compile(r"reconnu·e, \d+\s%"))).to_have_count(1)
    expect(transcript.get_by_text("Julia", exact=True).first).to_be_visible()
    with page.expect_download() as download:
        transcript.get_by_role("link", name=re.compile("Sous-titres SRT")).click()
    assert "-->" in download.value.path().read_text(encoding="utf-8")

    # Another name is the person's choice, no longer what was recognised.
    speakers.get_by_role("button", name="Renommer Julia").click()
    field = page.get_by_role("textbox", name="Qui parle ?")
    field.fill("Intervenant 7")
    expect(page.get_by_role("button", name="Retenir cette voix")).to_be_disabled()
    field.fill("Julia Martin")
    expect(page.get_by_text("RGPD")).to_be_visible()
    page.get_by_role("button", name="Retenir cette voix").click()
    expect(page.get_by_text("Voix retenue")).to_be_visible(timeout=VOICE_MS)
    expect(page.get_by_role("link", name="Voir les voix connues")).to_have_attribute("href", "/voix")
    page.get_by_role("button", name="Fermer").click()
    expect(speakers.get_by_text("Julia Martin")).to_be_visible()
    expect(speakers.get_by_text("reconnu·e")).to_have_count(0)

    page.get_by_role("link", name="Voix", exact=True).click()
    expect(row).to_have_count(2)
    page.get_by_role("button", name="Oublier la voix de Julia Martin").click()
    page.get_by_role("dialog").get_by_role("button", name="Annuler").click()
    expect(row).to_have_count(2)
    page.get_by_role("button", name="Oublier la voix de Julia Martin").click()
    page.get_by_role("dialog").get_by_role("button", name="Oublier").click()
    expect(row).to_have_count(1)
    assert [voice["name"] for voice in urllib3.request("GET", no_voices).json()["data"]] == ["Julia"]


def told(stack: Stack, meeting_id: str) -> tuple[object, ...]:
    """What app keeps of what a person said of a recording."""
    asked = "select title, language_asked, num_speakers, min_speakers, max_speakers from meetings where id = ?"
    with closing(sqlite3.connect(stack.data_dir / "frigo.db")) as database:
        found: tuple[object, ...] = database.execute(asked, (meeting_id,)).fetchone()
    return found


def test_an_engine_that_is_not_installed_gives_its_command(page: Page, stack: Stack) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_supervision(page, stack)
    row = page.locator('[data-model="canary-180m-flash"]')
    expect(row.get_by_role("button", name="Charger canary-180m-flash", exact=True)).to_be_disabled()
    expect(row.locator("code")).to_have_text("make run MOTEURS=nemo")
    row.get_by_role("button", name="Copier la commande").click()
    expect(row.get_by_role("button", name="Copié")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "make run MOTEURS=nemo"

    others = page.locator("details", has_text=re.compile(r"Autres moteurs\s: nemo"))
    others.locator("summary").click()
    expect(others.get_by_role("listitem")).to_contain_text("make run MOTEURS=nemo")

    gated = page.locator('[data-model="pyannote-community-1"]')
    expect(gated.locator("code")).to_have_text("make run MOTEURS=pyannote")
    terms = gated.get_by_role("link", name="pyannote/speaker-diarization-community-1")
    expect(terms).to_have_attribute("href", "https://huggingface.co/pyannote/speaker-diarization-community-1")
    gated.get_by_role("link", name="Donner le jeton").click()
    expect(page.get_by_label("Jeton Hugging Face", exact=True).last).to_be_focused()


@pytest.mark.parametrize("key", ["pocketsphinx", "resemblyzer"])
def test_a_speech_model_is_unloaded_and_loaded_again(page: Page, stack: Stack, key: str) -> None:
    open_supervision(page, stack)
    row = page.locator(f'[data-model="{key}"]')
    row.get_by_role("button", name=f"Décharger {key}").click()
    expect(row.get_by_role("button", name=f"Charger {key}", exact=True)).to_be_enabled(timeout=VOICE_MS)
    expect(row.locator("[data-state=ready]")).to_have_count(0)
    row.get_by_role("button", name=f"Charger {key}", exact=True).click()
    expect(row.locator("[data-state=ready]")).to_be_visible(timeout=VOICE_MS)
