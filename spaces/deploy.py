"""Put the Space online: `HF_TOKEN=hf_… python spaces/deploy.py` (`--dry-run` shows what would be done).

Creates the Space or brings it up to date, asks for its hardware, sets its secrets, sends the files, waits until it runs
and prints its address. The token is read from HF_TOKEN alone; it is neither shown nor sent into the Space.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from package import Package, PackageError, package  # beside this file

ZERO, FREE = "zero-a10g", "cpu-basic"
WITH_GPU = re.compile(r"zero-|t4-|l4x|l40s|a10g|a100|h100|h200|rtx")
RUNNING = {"RUNNING"}
FAILED = {"NO_APP_FILE", "CONFIG_ERROR", "BUILD_ERROR", "RUNTIME_ERROR", "DELETING", "STOPPED", "PAUSED"}
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)


class DeployError(Exception):
    """What stopped the deployment, and the remedy, in French."""


def main(arguments: list[str] | None = None) -> int:
    """The command. 0 when the Space runs, or would."""
    asked = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = package(Path(folder) / "space", torch=bool(WITH_GPU.match(asked.hardware)))
            if asked.dry_run:
                _plan(made, asked)
                return 0
            print(_deploy(made, asked))
    except (DeployError, PackageError) as error:
        print(error, file=sys.stderr)
        return 1
    except HfHubHTTPError as error:
        print(_refusal(error), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Le hub ne répond pas ({type(error).__name__}) : vérifiez la connexion.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Met le Space de Frigo en ligne. HF_TOKEN suffit.")
    parser.add_argument("--repo", metavar="[COMPTE/]NOM", default="frigo", help="le Space (votre compte si absent)")
    parser.add_argument("--hardware", default=ZERO, help=f"matériel demandé ({ZERO}, {FREE}, t4-small…)")
    parser.add_argument("--private", action="store_true", help="visible de vous seul")
    parser.add_argument("--secret", action="append", default=[], metavar="NOM", help="copier cette variable d'ici")
    parser.add_argument("--variable", action="append", default=[], metavar="NOM=VALEUR", help="SPACE_MODEL=…")
    parser.add_argument("--timeout", type=float, default=1200.0, help="attente du démarrage, en secondes")
    parser.add_argument("--every", type=float, default=5.0, help="regarder où en est le démarrage, en secondes")
    parser.add_argument("--dry-run", action="store_true", help="ne rien envoyer : montrer")
    return parser


def _plan(made: Package, asked: argparse.Namespace) -> None:
    """What would be sent and done."""
    for path in made.files:
        print(f"{path.stat().st_size:>10}  {path.relative_to(made.folder)}")
    print(f"{len(made.files)} fichiers, {made.size / 1e6:.1f} Mo")
    secrets = ", ".join(_secrets(asked.secret)) or "aucun"
    print(f"Space : {asked.repo} · matériel : {asked.hardware} · secrets : {secrets}")
    print(f"variables : {', '.join(_variables(asked.variable)) or 'aucune'}. Rien n'a été envoyé.")


def _deploy(made: Package, asked: argparse.Namespace) -> str:
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise DeployError("HF_TOKEN est vide : créez un jeton « write » sur https://huggingface.co/settings/tokens.")
    secrets, variables = _secrets(asked.secret), _variables(asked.variable)
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
    repo = _repo(asked.repo, api)
    print(f"1/5 Space {repo}")
    api.create_repo(repo, repo_type="space", space_sdk="gradio", private=asked.private or None, exist_ok=True)
    print(f"2/5 Matériel {asked.hardware}")
    _ask_hardware(api, repo, asked.hardware)
    print(f"3/5 {len(secrets)} secret(s), {len(variables)} variable(s)")
    for name, value in secrets.items():
        api.add_space_secret(repo, name, value)
    for name, value in variables.items():
        api.add_space_variable(repo, name, value)
    print(f"4/5 Envoi de {len(made.files)} fichiers, {made.size / 1e6:.1f} Mo")
    api.upload_folder(
        repo_id=repo,
        repo_type="space",
        folder_path=made.folder,
        commit_message="Mettre à jour Frigo",
        delete_patterns="*",  # what the Space had and this version has not
    )
    print("5/5 Démarrage")
    _wait(api, repo, asked.timeout, asked.every)
    return f"En ligne : {api.endpoint}/spaces/{repo}"


def _repo(name: str, api: HfApi) -> str:
    """``owner/name``, the owner being the token's unless it is said."""
    owner, slash, rest = name.partition("/")
    owner, rest = (owner, rest) if slash else (str(api.whoami()["name"]), name)
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(rest)):
        raise DeployError(f"--repo : « {name} » n'est pas un nom de Space (NOM ou COMPTE/NOM).")
    return f"{owner}/{rest}"


def _ask_hardware(api: HfApi, repo: str, hardware: str) -> None:
    """Ask; what the account may not have leaves the Space on what it has, and is said. The free one is what a new
    Space has: asked for only where another one would be kept, for which these files hold no torch."""
    if hardware == FREE:
        runtime = api.get_space_runtime(repo)
        if (runtime.requested_hardware or runtime.hardware or FREE) == FREE:
            return
    try:
        api.request_space_hardware(repo, hardware)  # type: ignore[arg-type]  # newer names than the library's are fine
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code not in {400, 402, 403}:
            raise
        reason = error.server_message or error.response.status_code
        print(f"    refusé ({reason}) : le Space garde son matériel. ZeroGPU demande un compte PRO.")


def _secrets(names: list[str]) -> dict[str, str]:
    """The values of these variables of the environment."""
    found = {}
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise DeployError(f"--secret : « {name} » n'est pas un nom de variable (sa valeur est lue ici).")
        if not os.environ.get(name):
            raise DeployError(f"--secret : la variable {name} est vide ici.")
        found[name] = os.environ[name]
    return found


def _variables(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise DeployError(f"--variable : « {text} » n'est pas de la forme NOM=VALEUR.")
        found[name] = value
    return found


def _wait(api: HfApi, repo: str, timeout: float, every: float) -> None:
    """Until it runs. Raises `DeployError` when it cannot, or not in time."""
    end = time.monotonic() + timeout
    last = ""
    while True:
        runtime: Any = api.get_space_runtime(repo)
        stage = str(runtime.stage)
        if stage != last:
            print(f"    {stage}")
            last = stage
        if stage in RUNNING:
            return
        if stage in FAILED:
            said = (runtime.raw or {}).get("errorMessage") or "voir l'onglet Logs du Space"
            raise DeployError(f"Le Space n'a pas démarré ({stage}) : {said}.")
        if time.monotonic() >= end:
            raise DeployError(f"Le Space n'a pas démarré en {timeout:.0f} s (état : {stage}) : voir son onglet Logs.")
        time.sleep(every)


def _refusal(error: HfHubHTTPError) -> str:
    status = error.response.status_code if error.response is not None else None
    if status == 401:
        return "Le hub refuse le jeton (401) : HF_TOKEN est faux ou révoqué."
    if status == 403:
        return "Le hub refuse (403) : HF_TOKEN doit être un jeton « write » de ce compte."
    return f"Le hub refuse ({status}) : {error.server_message or 'sans raison donnée'}."


if __name__ == "__main__":
    sys.exit(main())
