"""The page of the chat, as a person uses it: a real Chromium on the real stack, conversations kept by chat."""

import json
import os
import re
import signal
from typing import Any

import pytest
import urllib3
from playwright.sync_api import Page, Route, expect

from tests.e2e.accessibility import faults
from tests.e2e.browsing import NEEDS
from tests.e2e.stack import Stack

ANSWER_MS = 90_000
pytestmark = NEEDS


@pytest.fixture
def chat(page: Page, stack: Stack) -> Page:
    """A fresh visitor, in a new conversation, the only one."""
    assert urllib3.request("DELETE", f"{stack.app_url}/api/conversations").status == 200
    page.get_by_role("link", name="Discussion").click()
    expect(page).to_have_title("Discussion · Frigo")
    return page


def ask(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Écrivez à Frigo").fill(text)
    page.keyboard.press("Enter")


def answered(page: Page) -> None:
    expect(page.get_by_text(re.compile(r"\d+ jetons \(\d+ lus, \d+ écrits\)")).last).to_be_visible(timeout=ANSWER_MS)
    expect(page.get_by_role("button", name="Envoyer")).to_be_visible()


def kept(stack: Stack) -> list[dict[str, Any]]:
    return list(urllib3.request("GET", f"{stack.app_url}/api/conversations").json()["conversations"])


def waiting_for_its_answer(page: Page, stack: Stack) -> None:
    """The question is kept, and a place for its answer, before it is asked."""
    while [one["messages"] for one in kept(stack)] != [2]:
        page.wait_for_timeout(50)


def choose(page: Page, title: str, action: str) -> None:
    page.get_by_role("complementary").get_by_role("button", name=f"Actions sur « {title} »").click()
    page.get_by_role("menuitem", name=action).click()


def test_an_answer_comes_in_pieces(chat: Page, stack: Stack) -> None:
    for _turn in range(10):  # a browser that has much else to do shows several pieces at once
        chat.goto(f"{stack.app_url}/discussion")
        chat.get_by_role("main").get_by_role("button", name="Que sait faire Frigo").wait_for()
        chat.evaluate(
            """() => {
                window.lengths = new Set();
                new MutationObserver(() => {
                    const answer = [...document.querySelectorAll('article')].at(-1);
                    if (answer) window.lengths.add(answer.textContent.length);
                }).observe(document.getElementById('contenu'), { subtree: true, childList: true, characterData: true });
            }"""
        )
        chat.get_by_role("main").get_by_role("button", name="Que sait faire Frigo").click()
        answered(chat)
        if chat.evaluate("window.lengths.size") >= 3:
            return
    pytest.fail("the answers came in one piece")


def test_a_talk_and_its_branches_are_kept(chat: Page) -> None:
    chat.get_by_role("main").get_by_role("button", name="Que sait faire Frigo").click()
    answered(chat)
    expect(chat).to_have_title("Que sait faire Frigo ? · Frigo")

    # Other words, and another answer: branches, with arrows between them.
    chat.get_by_role("button", name="Modifier ce message").click()
    chat.get_by_label("Votre message").fill("Où vont mes données ?")
    chat.keyboard.press("Enter")
    expect(chat.get_by_label("Version 2 sur 2")).to_have_count(1)
    answered(chat)
    chat.get_by_role("button", name="Refaire la réponse").click()
    expect(chat.get_by_label("Version 2 sur 2")).to_have_count(2)
    answered(chat)
    question = chat.get_by_role("article", name="Vous")
    question.get_by_role("button", name="Version précédente").click()
    expect(question).to_contain_text("Que sait faire Frigo ?")

    # The server has them: after a reload, and under the address of the conversation.
    with chat.expect_response(re.compile("/api/conversations/conv_")):
        chat.reload()
    expect(question).to_contain_text("Que sait faire Frigo ?")
    question.get_by_role("button", name="Version suivante").click()
    expect(question).to_contain_text("Où vont mes données ?")
    expect(chat.get_by_label("Version 2 sur 2")).to_have_count(2)


def test_conversations_are_found_renamed_exported_and_deleted(chat: Page) -> None:
    ask(chat, "Que sait faire Frigo ?")
    answered(chat)
    listed = chat.get_by_role("complementary")
    choose(chat, "Que sait faire Frigo ?", "Renommer")
    chat.get_by_label("Titre").fill("Été à l'école")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("heading", level=1)).to_have_text("Été à l'école")

    chat.get_by_label("Chercher dans les discussions").fill("ETE ecole")
    row = listed.get_by_role("button", name="Été à l'école", exact=True)
    expect(listed.get_by_role("listitem")).to_have_count(1)
    expect(row).to_be_visible()
    chat.get_by_label("Chercher dans les discussions").fill("rien de tel")
    expect(listed.get_by_text("Rien ne correspond")).to_be_visible()
    chat.keyboard.press("Escape")
    expect(row).to_be_visible()

    with chat.expect_download() as download:
        choose(chat, "Été à l'école", "Exporter en Markdown")
    text = download.value.path().read_text(encoding="utf-8")
    assert text.startswith("# Été à l'école\n\n## Vous\n\nQue sait faire Frigo ?\n\n## frigo-mini\n\n")

    choose(chat, "Été à l'école", "Supprimer")
    chat.get_by_role("dialog").get_by_role("button", name="Supprimer").click()
    expect(row).to_be_hidden()
    expect(chat.get_by_text("Qu'est-ce qu'on cuisine ?")).to_be_visible()


def test_a_silent_answer_is_stopped_and_asked_for_again(chat: Page, stack: Stack) -> None:
    os.killpg(stack.pid("gpt"), signal.SIGSTOP)
    try:
        ask(chat, "Comment changer de modèle ?")
        expect(chat.get_by_text("Frigo réfléchit…")).to_be_visible()
        expect(chat.get_by_role("article", name="Vous")).to_contain_text("Comment changer de modèle ?")
        waiting_for_its_answer(chat, stack)
        chat.keyboard.press("Escape")
        expect(chat.get_by_text("Frigo réfléchit…")).to_be_hidden()
        expect(chat.get_by_text("Cette question n'a pas reçu de réponse.")).to_be_visible()
    finally:
        os.killpg(stack.pid("gpt"), signal.SIGCONT)
    chat.reload()
    chat.get_by_role("button", name="Demander la réponse").click()
    answered(chat)
    expect(chat.get_by_role("article")).to_have_count(2)


def test_an_answer_goes_on_while_the_page_is_loaded_again(chat: Page, stack: Stack) -> None:
    os.killpg(stack.pid("gpt"), signal.SIGSTOP)
    try:
        ask(chat, "Que sait faire Frigo ?")
        waiting_for_its_answer(chat, stack)
        expect(chat).to_have_url(re.compile(r"c=conv_"))
        chat.reload()
        expect(chat.get_by_text("Frigo réfléchit…")).to_be_visible()
        expect(chat.get_by_role("button", name="Arrêter", exact=True)).to_be_visible()
    finally:
        os.killpg(stack.pid("gpt"), signal.SIGCONT)
    answered(chat)
    expect(chat.get_by_role("article")).to_have_count(2)
    expect(chat.get_by_text("Réponse inachevée.")).to_have_count(0)

    # And what is followed is stopped as what is asked for here.
    os.killpg(stack.pid("gpt"), signal.SIGSTOP)
    try:
        chat.get_by_role("button", name="Refaire la réponse").click()
        while kept(stack)[0]["messages"] != 3:
            chat.wait_for_timeout(50)
        chat.reload()
        chat.get_by_role("button", name="Arrêter", exact=True).click()
        expect(chat.get_by_role("button", name="Envoyer")).to_be_visible()
        while kept(stack)[0]["messages"] != 2:  # it was never begun
            chat.wait_for_timeout(50)
    finally:
        os.killpg(stack.pid("gpt"), signal.SIGCONT)
    expect(chat.get_by_role("button", name="Demander la réponse")).to_be_visible(timeout=30_000)
    assert faults(chat) == []


def test_tools_and_reasoning_are_shown(chat: Page) -> None:
    run = {"id": "1", "round": 1, "name": "calculatrice", "arguments": {"expression": "17 * 3"}}
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": "Il faut multiplier."},
        {"tool_run": {**run, "state": "running"}},
        {"tool_run": {**run, "state": "done", "result": "51"}},
        {"content": "Cela fait **51**."},
    ]
    chunks = [{"model": "frigo-mini", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    asked: list[Any] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        route.fulfill(content_type="text/event-stream", body=body)

    chat.route("**/completions", answer)
    chat.get_by_role("button", name="Outils").click()
    chat.get_by_role("switch", name="Calculatrice").check()
    chat.keyboard.press("Escape")
    expect(chat.get_by_role("button", name="Outils · 1")).to_be_visible()
    ask(chat, "17 × 3 ?")
    shown = chat.get_by_role("article", name="Réponse de frigo-mini")
    expect(shown).to_contain_text("Cela fait 51.")
    assert asked[0]["tools"] == [{"type": "frigo", "name": "calculatrice"}]
    result = shown.get_by_label("Résultat")
    expect(result).to_be_hidden()
    shown.get_by_text("Calculatrice · 17 * 3").click()
    expect(result).to_be_visible()
    expect(result).to_have_text("51")
    expect(shown.get_by_text("Il faut multiplier.")).to_be_hidden()
    shown.get_by_text("Réflexion", exact=True).click()
    expect(shown.get_by_text("Il faut multiplier.")).to_be_visible()
    assert faults(chat) == []


def test_what_the_browser_kept_goes_to_the_server(page: Page, stack: Stack) -> None:
    said = [{"role": "user", "content": "Où est le beurre ?"}, {"role": "assistant", "content": "Dans la porte."}]
    old = [{"id": "o", "title": "Le beurre d'avant", "updated": 1_767_000_000_000, "messages": said}]
    page.evaluate("old => localStorage.setItem('frigo.chats', JSON.stringify(old))", old)
    page.goto(f"{stack.app_url}/discussion")
    page.get_by_role("button", name="Le beurre d'avant", exact=True).click()
    expect(page.get_by_text("Dans la porte.")).to_be_visible()
    assert page.evaluate("localStorage.getItem('frigo.chats')") is None


def test_a_process_is_drawn_and_kept(page: Page) -> None:
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

    page.reload()
    expect(drawing).to_be_visible(timeout=30_000)
    expect(page.get_by_role("article", name="Vous")).to_be_visible()
