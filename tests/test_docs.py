"""The documentation leads where it says, and its tables of models are what the programs choose."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.choose import AsrChoose
from common.models.catalogue import load_catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = _HEADING.findall(_CODE.sub("", text(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    dead = []
    for link in _LINK.findall(_CODE.sub("", text(page))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _sharp, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize(("page", "service"), [("transcription", "asr"), ("locuteurs", "diarize")])
def test_every_model_of_speech_is_told_of(page: str, service: str) -> None:
    told = text(ROOT / "docs" / f"{page}.md")
    keys = [entry.key for entry in load_catalogue(ROOT / service / "models.toml")]
    assert [key for key in keys if f"`{key}`" not in told] == []


def test_the_table_of_speech_models_is_what_auto_chooses(engines: Callable[..., None]) -> None:
    engines("nemo", "transformers")
    told = text(ROOT / "docs" / "transcription.md")
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in AsrChoose().published_table().splitlines()]
    for machine, _free, chosen, how, *_rest in rows[2:]:
        size = machine.replace(" de mémoire", "").removeprefix("GPU de ")
        (row,) = [line for line in told.splitlines() if line.startswith("|") and size in line and chosen in line]
        assert how.split(",")[0] in row
        assert ("GPU" in row) == machine.startswith("GPU")
