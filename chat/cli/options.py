"""What the command line and the environment ask."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:5001"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_EXAMPLES = """exemples :
  python -m chat.cli                                        discuter (/aide dit les commandes)
  python -m chat.cli "Explique les ensembles vides"         une question, une réponse
  git diff | python -m chat.cli "Résume ce changement"      une question sur un texte
  echo "Il reçoit, puis il range." | python -m chat.cli --diagramme > p.mmd
  python -m chat.cli --outils calculatrice "0,1 + 0,2 ?"

variables : CHAT_API_URL, sinon OPENAI_BASE_URL (l'adresse) ; OPENAI_API_KEY (la clé). Voir docs/terminal.md."""


@dataclass(frozen=True)
class Options:
    """`url`: of chat or of app, without /v1. `service_token`: of this very machine's services, when it can be read."""

    url: str
    key: str | None
    service_token: str | None
    model: str | None
    system: str | None
    tools: tuple[str, ...]
    files: tuple[Path, ...]
    text: str | None
    json: bool
    diagram: bool
    kind: str | None
    direction: str | None
    instruction: str | None

    @property
    def interactive(self) -> bool:
        """Whether a person is there to talk with: nothing was asked, and the input is a terminal."""
        terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        return self.text is None and not self.json and terminal


def read_options(arguments: list[str] | None, environ: Mapping[str, str] = os.environ) -> Options:
    """Exits with status 2 on options that are none."""
    given = _parser().parse_args(arguments)
    url = given.url or _first(environ, "CHAT_API_URL", "OPENAI_BASE_URL") or DEFAULT_URL
    url = url.split(",")[0].strip().rstrip("/").removesuffix("/v1")
    if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        _parser().error(f"adresse incomprise : « {url} » (attendu : http://… ou https://…)")
    if given.instruction is not None and not given.diagram:
        _parser().error("--consigne va avec --diagramme")
    return Options(
        url=url,
        key=given.key or _first(environ, "OPENAI_API_KEY"),
        service_token=_service_token(environ) if urlsplit(url).hostname in _LOOPBACK else None,
        model=given.model,
        system=given.system,
        tools=tuple(name for name in (given.tools or "").replace(",", " ").split()),
        files=tuple(map(Path, given.files)),
        text=" ".join(given.text) or None,
        json=given.json,
        diagram=given.diagram,
        kind=given.kind,
        direction=given.direction,
        instruction=given.instruction,
    )


def help_text() -> str:
    """What --aide prints."""
    return _parser().format_help()


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _service_token(environ: Mapping[str, str]) -> str | None:
    """What `make run` keeps for the services of this machine: who may read it needs no key. Never sent elsewhere."""
    if token := _first(environ, "SERVICE_TOKEN"):
        return token
    path = _first(environ, "SERVICE_TOKEN_FILE") or f"{environ.get('DATA_DIR') or 'data'}/service_token"
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeError):
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Discuter avec Frigo dans un terminal, ou dans un tube.",
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
        usage="python -m chat.cli [options] [TEXTE ...]",
        add_help=False,
    )
    said = parser.add_argument_group("texte")
    said.add_argument("text", nargs="*", metavar="TEXTE", help="une question ; ce qui vient d'un tube s'y ajoute")
    ask = parser.add_argument_group("options")
    ask.add_argument("-h", "--help", "--aide", action="help", help="afficher cette aide")
    ask.add_argument("--url", metavar="URL", help=f"adresse de chat ou d'app (défaut : {DEFAULT_URL})")
    ask.add_argument("--cle", dest="key", metavar="CLE", help="clé d'API ; mieux : la variable OPENAI_API_KEY")
    ask.add_argument("-m", "--modele", dest="model", metavar="NOM", help="le modèle, par son nom ou un alias")
    ask.add_argument("-s", "--systeme", dest="system", metavar="TEXTE", help="consigne donnée au modèle")
    ask.add_argument("--outils", dest="tools", metavar="NOMS", help="outils du serveur : calculatrice,date…")
    ask.add_argument(
        "-f", "--fichier", dest="files", action="append", default=[], metavar="CHEMIN", help="joindre un fichier"
    )
    ask.add_argument("--json", action="store_true", help="écrire la réponse entière en JSON")
    draw = parser.add_argument_group("diagrammes")
    draw.add_argument("--diagramme", dest="diagram", action="store_true", help="dessiner le texte en Mermaid")
    draw.add_argument("--type", dest="kind", metavar="TYPE", help="flowchart, sequence, gantt…")
    draw.add_argument("--direction", choices=("TD", "LR"), help="vertical (TD) ou horizontal (LR)")
    draw.add_argument(
        "--consigne", dest="instruction", metavar="TEXTE", help="changer le diagramme donné : « plus vertical »"
    )
    return parser
