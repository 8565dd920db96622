"""A conversation in a terminal: questions, answers as they are written, and commands."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chat.cli.errors import CommandError
from chat.cli.files import Attachment, question, read_attachment
from chat.cli.history import History
from chat.cli.options import Options
from chat.cli.screen import Screen
from chat.cli.server import Answer, Server

_HELP = """/modele [NOM]         les modèles, ou en prendre un
/outils [NOMS]        les outils du serveur ; les choisir (tout, aucun)
/fichier CHEMIN       joindre un fichier à la prochaine question
/systeme [TEXTE]      la consigne donnée au modèle (« - » l'ôte)
/nouveau              oublier la conversation
/enregistrer CHEMIN   l'écrire dans un fichier .md ou .json
/aide                 ceci
/quitter              sortir (aussi Ctrl-D)
Ctrl-C arrête la réponse en cours. Une ligne qui finit par \\ continue sur la suivante."""


class Talk:
    """One session."""

    def __init__(self, server: Server, options: Options, screen: Screen) -> None:
        self._server = server
        self._screen = screen
        self._model = options.model
        self._system = options.system
        self._tools = options.tools
        self._messages: list[dict[str, Any]] = []
        self._joined: list[Attachment] = [read_attachment(path) for path in options.files]
        self._url = options.url
        self._commands: dict[str, Callable[[str], None]] = {
            "/modele": self._choose_model,
            "/outils": self._choose_tools,
            "/fichier": self._join,
            "/systeme": self._set_system,
            "/nouveau": self._forget,
            "/enregistrer": self._save,
            "/aide": lambda _rest: screen.say(_HELP),
        }

    def run(self) -> int:
        """Until /quitter or the end of the input."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a script starts in the background
        history = History([*self._commands, "/quitter"])
        self._screen.say(f"Frigo à {self._url} — /aide pour les commandes, /quitter pour sortir", "dim")
        while True:
            try:
                line = self._line(history)
            except EOFError:
                self._screen.say()
                return 0
            except KeyboardInterrupt:
                self._screen.say("\n(/quitter ou Ctrl-D pour sortir)", "dim")
                continue
            if line in {"/quitter", "/quit", "/q"}:
                return 0
            try:
                if line.startswith("/"):
                    self._command(line)
                elif line:
                    self._ask(line)
            except CommandError as error:
                self._screen.fail(str(error))
            except KeyboardInterrupt:
                self._screen.say("\n(interrompu)", "dim")

    def _line(self, history: History) -> str:
        lines: list[str] = []
        prompt = "› "
        while True:
            line = input(self._screen.prompt(prompt))
            if line.strip():
                history.keep()
            if not line.endswith("\\"):
                return "\n".join([*lines, line]).strip()
            lines.append(line[:-1])
            prompt = "… "

    def _command(self, line: str) -> None:
        name, _space, rest = line.partition(" ")
        command = self._commands.get(name)
        if command is None:
            raise CommandError(f"Commande inconnue : {name}. /aide les dit toutes.")
        command(rest.strip())

    # --- the conversation ------------------------------------------------------------------------------------------

    def _ask(self, text: str) -> None:
        asked = question(text, self._joined)
        system = [{"role": "system", "content": self._system}] if self._system else []
        answer = Answer()
        try:
            self._show([*system, *self._messages, asked], answer)
        except KeyboardInterrupt:
            answer.interrupted = True
        if answer.text and not answer.text.endswith("\n"):
            self._screen.say()
        if answer.interrupted:
            self._screen.say("(réponse arrêtée)", "dim")
        elif answer.finish == "length":
            self._screen.say("(réponse coupée : le modèle n'avait plus de place)", "dim")
        if answer.text or not answer.interrupted:
            self._messages += [asked, answer.message()]
            self._joined = []

    def _show(self, messages: list[dict[str, Any]], answer: Answer) -> None:
        at_start = True
        for what, piece in self._server.answer(messages, self._model, self._tools, answer):
            if what == "run":
                if not at_start:
                    self._screen.say()
                self._screen.run(piece)
                at_start = True
                continue
            shown = piece.lstrip("\n") if at_start else piece
            self._screen.write(shown, "dim" if what == "reasoning" else None)
            at_start = (at_start and not shown) or shown.endswith("\n")

    # --- commands --------------------------------------------------------------------------------------------------

    def _choose_model(self, name: str) -> None:
        if name:
            self._model = str(self._server.model(name).get("id") or name)
            self._screen.say(f"Modèle : {self._model}", "green")
            return
        for one in self._server.models():
            mark = "*" if one.get("id") == self._model else " "
            aliases = ", ".join(map(str, one.get("aliases") or ()))
            about = " — ".join(filter(None, [str(one.get("state") or ""), aliases]))
            self._screen.say(f"{mark} {one.get('id')}{f'  ({about})' if about else ''}")
        if self._model is None:
            self._screen.say("Sans choix : celui qui est prêt.", "dim")

    def _choose_tools(self, names: str) -> None:
        listed = self._server.tools()
        there = [str(one.get("name")) for one in listed if one.get("available")]
        if names in {"tout", "tous"}:
            self._tools = tuple(there)
        elif names == "aucun":
            self._tools = ()
        elif names:
            wanted = tuple(dict.fromkeys(names.replace(",", " ").split()))
            for name in wanted:
                if name not in there:
                    reason = next((str(one.get("reason") or "") for one in listed if one.get("name") == name), "")
                    raise CommandError(f"Outil indisponible : {name}. {reason}".strip())
            self._tools = wanted
        for one in listed:
            mark = "*" if one.get("name") in self._tools else " " if one.get("available") else "–"
            self._screen.say(f"{mark} {one.get('name')}  {one.get('reason') or one.get('description') or ''}")

    def _join(self, path: str) -> None:
        if not path:
            raise CommandError("Donnez un chemin : /fichier notes.txt")
        joined = read_attachment(Path(path))
        self._joined.append(joined)
        self._screen.say(f"{joined.name} sera joint à la prochaine question.", "green")

    def _set_system(self, text: str) -> None:
        if text:
            self._system = None if text == "-" else text
        self._screen.say(f"Consigne : {self._system}" if self._system else "Aucune consigne.", "dim")

    def _forget(self, _rest: str) -> None:
        self._messages = []
        self._joined = []
        self._screen.say("Nouvelle conversation.", "dim")

    def _save(self, given: str) -> None:
        if not given:
            raise CommandError("Donnez un chemin : /enregistrer conversation.md")
        path = Path(given).expanduser()
        if path.suffix.lower() == ".json":
            whole = {"model": self._model, "system": self._system, "messages": self._messages}
            text = json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
        else:
            text = _markdown(self._system, self._messages)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise CommandError(f"{path} existe déjà.") from error
        except OSError as error:
            raise CommandError(f"On ne peut pas écrire {path} ({error.strerror}).") from error
        self._screen.say(f"Écrit dans {path}.", "green")


def _markdown(system: str | None, messages: list[dict[str, Any]]) -> str:
    parts = [f"> {system}"] if system else []
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            content = "\n\n".join(part.get("text") or "*(image)*" for part in content)
        parts.append(f"## {'Vous' if message['role'] == 'user' else 'Frigo'}\n\n{content.strip()}")
    return "\n\n".join(parts) + "\n"
