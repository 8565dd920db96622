"""`python -m <service>.download_models --model NAME [--model …]`: put models in an image before it ships.

An image so made runs with HF_HUB_OFFLINE=1 and switches among the models it holds. Models go where the service looks
for them (MODEL_CACHE_DIR, HF_HOME); one that fails is named and the others are still tried.
Exit status: 0 all are here, 1 one at least failed, 2 the command or a variable is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NoReturn

from common.errors import ApiError
from common.hub.cache import kept_repos
from common.hub.hub import Hub
from common.messages import gigabytes
from common.models.catalogue import Catalogue, ModelEntry
from common.models.hub_registry import outsider
from common.settings import SettingsError

OK, FAILED, USAGE = 0, 1, 2
_LINE_EVERY_S = 2.0


class Lines:
    """A model's progress: one line every two seconds, or one that lives on a terminal."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._live = sys.stdout.isatty()
        self._last = -_LINE_EVERY_S
        self._started: tuple[float, int] | None = None
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        if now - self._last < (0.2 if self._live else _LINE_EVERY_S):
            return
        self._last = now
        seconds, before = now - self._started[0], self._started[1]
        speed = f", {megabytes(int((done - before) / seconds))} Mo/s" if seconds > 1 and done > before else ""
        part = f"{100 * done // total} %" if total else "…"
        line = f"{self._key} : {megabytes(done)} / {megabytes(total)} Mo ({part}{speed})"
        self._drawn = self._live
        sys.stdout.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Leave the living line."""
        if self._drawn:
            sys.stdout.write("\r\x1b[2K")


class DownloadCommand(ABC):
    """The command of one service, whose variables are read when it is made (`SettingsError`).

    `what` are its models in the help, `extra` the usage of its own options, `variable` the one that names the model.
    """

    service: ClassVar[str]
    what: ClassVar[str]
    variable: ClassVar[str]
    extra: ClassVar[str] = ""

    hub: Hub
    catalogue: Catalogue

    @abstractmethod
    def place(self, entry: ModelEntry) -> Path | None:
        """Where the files of a whole model are; None when they are not here."""

    @abstractmethod
    def fetch(self, entry: ModelEntry, progress: Callable[[int, int], None]) -> None:
        """Have the files here. Raises `ApiError`.

        Not as the service does: whether the model fits in memory is the affair of the machine that will serve it.
        """

    def finish(self, entry: ModelEntry, path: Path, asked: argparse.Namespace) -> None:  # noqa: ARG002
        """Say that the model is ready, and do what more was asked. Raises `ApiError`."""
        say(f"{entry.key} : prêt ({gigabytes(self.weight(entry, path))} Go).")

    def weight(self, entry: ModelEntry, path: Path) -> int:  # noqa: ARG002
        """Bytes of the model's files, in `path`."""
        return weight(path)

    def mark(self, path: Path) -> str:  # noqa: ARG002
        """What `--list` adds after a model."""
        return ""

    @classmethod  # noqa: B027  most have none
    def options(cls, add: Callable[..., argparse.Action]) -> None:
        """Add what only this service has."""

    # --- the command ------------------------------------------------------------------------------------------------

    @classmethod
    def run(cls, arguments: Sequence[str] | None = None) -> int:
        """The command. Gives its exit status."""
        asked = cls._parser().parse_args(arguments)
        try:
            command = cls()
            if asked.list:
                return command.show()
            entries = [entry_of(name, command.catalogue, asked.revision) for name in asked.model]
        except (SettingsError, ValueError) as error:
            sys.stderr.write(f"Commande refusée : {error}\n")
            return USAGE
        if not entries:
            sys.stderr.write(f"Commande refusée : aucun modèle nommé.\nUsage : {cls._usage()}\n")
            return USAGE
        try:
            return command.fetch_all(list(dict.fromkeys(entries)), asked)
        except KeyboardInterrupt:
            sys.stderr.write("\nInterrompu : ce qui est arrivé est gardé, la même commande continuera.\n")
            return FAILED

    def fetch_all(self, entries: list[ModelEntry], asked: argparse.Namespace) -> int:
        """Have each of them here, whatever becomes of the others."""
        failed: list[str] = []
        for entry in entries:
            try:
                self._have(entry, asked)
                if asked.revision and entry.hub_id:
                    self.hub.pin(entry.hub_id, asked.revision, _usual_revision(entry, self.catalogue))
            except ApiError as error:
                failed.append(entry.key)
                say(f"{entry.key} : ÉCHEC — {error.message}")
        if failed:
            sys.stderr.write(f"{len(failed)} modèle(s) en échec sur {len(entries)} : {', '.join(failed)}.\n")
        return FAILED if failed else OK

    def _have(self, entry: ModelEntry, asked: argparse.Namespace) -> None:
        was_here = self.is_here(entry)
        if was_here:
            say(f"{entry.key} : déjà là.")
        else:
            lines = Lines(entry.key)
            try:
                self.fetch(entry, lines)
            finally:
                lines.end()
        path = self.place(entry)
        if path is not None:
            self.finish(entry, path, asked)
        elif self.is_here(entry) and not was_here:
            say(f"{entry.key} : prêt.")
        elif not was_here:
            raise ApiError(422, "model_unusable", "les fichiers reçus ne font pas un modèle complet.")

    def is_here(self, entry: ModelEntry) -> bool:
        """Whether nothing is to be fetched."""
        return self.place(entry) is not None

    def show(self) -> int:
        """One line for each model that can be served without the hub."""
        others = [_outside(repo, "main") for repo in kept_repos(self.hub.cache_dir) if not self.catalogue.find(repo)]
        here = [entry for entry in (*self.catalogue, *others) if self.is_here(entry)]
        width = max((len(entry.key) for entry in here), default=0)
        for entry in here:
            path = self.place(entry)
            size = f"{gigabytes(self.weight(entry, path)):>6} Go" if path is not None else " " * 9
            mark = self.mark(path) if path is not None else ""
            say(f"{entry.key:<{width}}  {size}  {entry.hub_id or 'livré avec Frigo'}{mark}")
        if not here:
            say("Aucun modèle sur ce disque.")
        return OK

    @classmethod
    def _usage(cls) -> str:
        return f"python -m {cls.service}.download_models --model NOM [--model NOM …]{cls.extra} [--revision R] | --list"

    @classmethod
    def _parser(cls) -> argparse.ArgumentParser:
        parser = _Parser(
            prog=f"python -m {cls.service}.download_models",
            usage=cls._usage(),
            description=f"Télécharge des {cls.what} à l'avance : dans une image, ou avant de couper le réseau.",
            epilog=f"Les modèles vont là où {cls.service} les cherche (MODEL_CACHE_DIR, HF_HOME). Ensuite, "
            f"HF_HUB_OFFLINE=1 suffit : {cls.variable} choisit parmi eux. Sortie : 0 tous sont là, 1 l'un d'eux a "
            "échoué, 2 commande refusée.",
            add_help=False,
            allow_abbrev=False,
        )
        add = parser.add_argument_group("options").add_argument
        add("--model", action="append", default=[], metavar="NOM", help="clé du catalogue, alias ou identifiant du hub")
        cls.options(add)
        add("--revision", metavar="R", help="branche, étiquette ou commit, au lieu de celui du catalogue")
        add("--list", action="store_true", help="dire les modèles qui sont sur ce disque")
        add("-h", "--help", action="help", help="cette aide")
        return parser


class _Parser(argparse.ArgumentParser):
    """argparse in French: its own sentences are English only."""

    def error(self, message: str) -> NoReturn:
        for english, french in (
            ("unrecognized arguments:", "option inconnue :"),
            ("expected one argument", "une valeur est attendue"),
            ("argument ", "option "),
        ):
            message = message.replace(english, french)
        sys.stderr.write(f"Commande refusée : {message}\nUsage : {self.usage}\nAide : --help\n")
        sys.exit(USAGE)

    def format_help(self) -> str:
        return super().format_help().replace("usage: ", "Usage : ", 1)


def entry_of(name: str, catalogue: Catalogue, revision: str | None) -> ModelEntry:
    """The catalogue's entry, or one for a hub id. Raises ValueError with the sentence."""
    entry = catalogue.find(name)
    if entry is None:
        if outsider(name) is None:
            raise ValueError(f"modèle inconnu « {name} ». Modèles connus : {', '.join(catalogue.entries)}.")
        entry = _outside(name, revision or "main")
    return entry.model_copy(update={"revision": revision}) if revision and entry.hub_id else entry


def weight(path: Path) -> int:
    """Bytes of a folder's files, what was made of them in folders apart."""
    return sum(file.stat().st_size for file in path.iterdir() if file.is_file())


def megabytes(size: int) -> str:
    """`size` bytes in Mo, French decimals."""
    return f"{size / 1e6:.1f}".replace(".", ",")


def say(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _usual_revision(entry: ModelEntry, catalogue: Catalogue) -> str:
    """The one the service will look for."""
    known = catalogue.find(entry.key)
    return known.revision if known is not None else "main"


def _outside(repo: str, revision: str) -> ModelEntry:
    return ModelEntry(key=repo, hub_id=repo, revision=revision, family="", parameters=0, licence="")
