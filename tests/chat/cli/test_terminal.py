"""python -m chat.cli at a terminal: a conversation, its commands, Ctrl-C, the history."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chat.cli.running import Terminal
from tests.chat.scripted_gpt import ScriptedGpt, call


@pytest.fixture
def open_terminal(chat_url: str, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str, **more: str) -> Terminal:
        opened.append(Terminal(chat_url, tmp_path, "--cle", "k1", *arguments, **more))
        opened[-1].wait_for("› ")
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_a_conversation(open_terminal: Callable[..., Terminal], scripted: ScriptedGpt, tmp_path: Path) -> None:
    terminal = open_terminal()
    scripted.enqueue(["Bonjour, \x1b[2Jl'été !"])
    assert terminal.ask("Salut") == "Bonjour, [2Jl'été !\n"  # no escape sequence of a model's reaches the terminal
    assert "\x1b[2J" not in terminal.raw

    assert "* calculatrice" in terminal.ask("/outils calculatrice")
    scripted.enqueue(["Voyons.", call("calculatrice", expression="0,1+0,2")], ["Cela fait 0,3."])
    shown = terminal.ask("Combien ?")
    assert shown == 'Voyons.\n  ⚙ calculatrice {"expression": "0,1+0,2"}\n  → = 0,3\nCela fait 0,3.\n'
    assert [one["role"] for one in scripted.requests[1]["messages"]] == ["user", "assistant", "user"]

    assert "SEARXNG_URL" in terminal.ask("/outils recherche")
    assert "tiny  (ready)" in terminal.ask("/modele")
    assert "magie" in terminal.ask("/modele magie")
    assert terminal.ask("/modele tiny") == "Modèle : tiny\n"
    assert terminal.ask("/systeme Sois bref.") == "Consigne : Sois bref.\n"
    notes = tmp_path / "notes.txt"
    notes.write_text("du lait")
    assert terminal.ask(f"/fichier {notes}") == "notes.txt sera joint à la prochaine question.\n"
    assert "illisible" in terminal.ask("/fichier /absent")
    terminal.type("Quoi \\\n")
    terminal.wait_for("… ")
    assert terminal.ask("donc ?") == "Fin.\n"
    asked = scripted.requests[-1]
    assert asked["model"] == "tiny"
    assert asked["messages"][0] == {"role": "system", "content": "Sois bref."}
    assert asked["messages"][-1]["content"] == "Fichier « notes.txt » :\n\ndu lait\n\nQuoi \ndonc ?"
    assert [one["role"] for one in asked["messages"]].count("tool") == 1  # what it computed before is not lost

    assert "Écrit dans" in terminal.ask(f"/enregistrer {tmp_path}/a.md")
    assert "existe déjà" in terminal.ask(f"/enregistrer {tmp_path}/a.md")
    assert (tmp_path / "a.md").read_text().startswith("> Sois bref.\n\n## Vous\n\nSalut\n\n## Frigo\n\nBonjour")
    terminal.ask(f"/enregistrer {tmp_path}/a.json")
    kept = json.loads((tmp_path / "a.json").read_text())["messages"]
    assert [one["role"] for one in kept] == ["user", "assistant"] * 3

    assert terminal.ask("/nouveau") == "Nouvelle conversation.\n"
    assert "Commande inconnue" in terminal.ask("/magie")
    assert "/enregistrer" in terminal.ask("/aide")
    terminal.ask("Encore")
    assert [one["role"] for one in scripted.requests[-1]["messages"]] == ["system", "user"]
    terminal.type("/quitter\n")
    assert terminal.end() == 0


def test_ctrl_c_stops_the_answer_and_not_the_program(
    open_terminal: Callable[..., Terminal], scripted: ScriptedGpt
) -> None:
    terminal = open_terminal()
    scripted.permits = threading.Semaphore(2)
    scripted.enqueue(["Un début, et jamais de fin."])
    terminal.type("Raconte\n")
    terminal.wait_for("Un")
    terminal.interrupt("(réponse arrêtée)")
    terminal.wait_for("› ")
    scripted.permits.release(50)
    assert scripted.stream_closed.wait(60)
    scripted.permits = None
    assert terminal.ask("Et alors ?") == "Fin.\n"
    said = scripted.requests[-1]["messages"]
    assert [one["content"] for one in said] == ["Raconte", "Un", "Et alors ?"]
    terminal.type("à demi")
    terminal.interrupt("Ctrl-D pour sortir")
    terminal.wait_for("› ")
    assert terminal.leave() == 0


def test_lines_are_kept_for_their_owner_alone(
    open_terminal: Callable[..., Terminal], scripted: ScriptedGpt, tmp_path: Path
) -> None:
    terminal = open_terminal(NO_COLOR="1")
    terminal.ask("un secret")
    terminal.process.kill()
    history = tmp_path / "state" / "frigo" / "historique"
    assert history.read_text() == "un secret\n"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700
    assert "\x1b[1" not in terminal.raw
    again = open_terminal()
    again.type("\x1b[A\n")  # the arrow up
    again.wait_for("Fin.")
    deadline = time.monotonic() + 60
    while len(scripted.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert scripted.requests[-1]["messages"][-1]["content"] == "un secret"
