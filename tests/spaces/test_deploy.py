"""`python spaces/deploy.py`, as a person runs it, against a hub on this machine."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.spaces.space_hub import TOKEN, SpaceHub


@pytest.fixture
def hub() -> Iterator[SpaceHub]:
    server = SpaceHub().start()
    yield server
    server.stop()


@dataclass
class Done:
    """How the command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


Deploy = Callable[..., Done]


@pytest.fixture
def deploy(
    hub: SpaceHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Deploy:
    """The command with these words and variables, towards `hub`."""
    monkeypatch.syspath_prepend(str(ROOT / "spaces"))
    command = importlib.import_module("deploy")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    for name in ("HF_TOKEN", "MY_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, **variables: str) -> Done:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        status = command.main(["--every", "0.05", *words])
        return Done(status, *capsys.readouterr())

    return run


def test_a_dry_run_shows_everything_and_sends_nothing() -> None:
    words = ["--dry-run", "--secret", "MY_KEY", "--variable", "SPACE_MODEL=gpt2"]
    env = {"PATH": os.environ["PATH"], "MY_KEY": "caché"}
    command = [sys.executable, "spaces/deploy.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    sent = {line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line[:1] == " "}
    assert {"space.py", "README.md", "requirements.txt", "frigo_space/page.py", "chat/diagrams/generate.py"} <= sent
    assert {"gpt/embedded/frigo-mini/model.safetensors", "chat/diagrams/validator/package-lock.json"} <= sent
    assert not [path for path in sent if path.startswith(("app/", "tests/")) or "node_modules" in path]
    assert "zero-a10g" in done.stdout
    assert "MY_KEY" in done.stdout
    assert "caché" not in done.stdout + done.stderr
    assert "Rien n'a été envoyé" in done.stdout


def test_a_space_is_created_filled_and_waited_for(hub: SpaceHub, deploy: Deploy) -> None:
    variables = {"HF_TOKEN": TOKEN, "MY_KEY": "valeur"}
    done = deploy("--secret", "MY_KEY", "--variable", "SPACE_MODEL=gpt2", **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"En ligne : {hub.url}/spaces/claire/frigo"
    assert (hub.repo, hub.created["sdk"], hub.hardware) == ("claire/frigo", "gradio", "zero-a10g")
    assert (hub.secrets, hub.variables) == ({"MY_KEY": "valeur"}, {"SPACE_MODEL": "gpt2"})
    assert b"torch==" in hub.files["requirements.txt"]
    weights = "gpt/embedded/frigo-mini/model.safetensors"
    assert hub.files[weights] == (ROOT / weights).read_bytes()
    assert not any(TOKEN.encode() in data for data in hub.files.values())
    assert TOKEN not in done.stdout + done.stderr


def test_an_update_removes_what_is_no_longer_there(hub: SpaceHub, deploy: Deploy) -> None:
    hub.repo, hub.files = "claire/dessins", {"old.py": b"x", ".gitattributes": b"*.safetensors filter=lfs"}
    done = deploy("--repo", "claire/dessins", "--hardware", "cpu-basic", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "old.py" not in hub.files
    assert "space.py" in hub.files
    assert b"torch==" not in hub.files["requirements.txt"]
    assert hub.hardware == "cpu-basic"
    assert not any("hardware" in seen for seen in hub.seen)


def test_a_space_can_go_back_to_the_free_hardware(hub: SpaceHub, deploy: Deploy) -> None:
    """What it then has must be what its files are made for: they hold no torch."""
    hub.repo, hub.hardware = "claire/frigo", "zero-a10g"
    done = deploy("--hardware", "cpu-basic", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert hub.hardware == "cpu-basic"
    assert b"torch==" not in hub.files["requirements.txt"]


def test_hardware_that_is_refused_leaves_the_space_up(hub: SpaceHub, deploy: Deploy) -> None:
    hub.refuse["/hardware"] = (402, "Subscribe to PRO to use ZeroGPU")
    done = deploy(HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "PRO" in done.stdout
    assert "space.py" in hub.files


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        ([], {}, "HF_TOKEN est vide"),
        ([], {"HF_TOKEN": "hf_faux"}, "HF_TOKEN est faux ou révoqué"),
        (["--repo", "../x"], {"HF_TOKEN": TOKEN}, "n'est pas un nom de Space"),
        (["--secret", "ABSENT"], {"HF_TOKEN": TOKEN}, "la variable ABSENT est vide"),
        (["--variable", "SPACE_MODEL"], {"HF_TOKEN": TOKEN}, "NOM=VALEUR"),
    ],
)
def test_what_is_wrong_is_named(
    hub: SpaceHub, deploy: Deploy, words: list[str], variables: dict[str, str], said: str
) -> None:
    done = deploy(*words, **variables)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert hub.files == {}


@pytest.mark.parametrize(
    ("stages", "said"), [(["BUILDING", "BUILD_ERROR"], "ModuleNotFoundError"), (["BUILDING"], "0 s")]
)
def test_a_space_that_does_not_start_says_why(hub: SpaceHub, deploy: Deploy, stages: list[str], said: str) -> None:
    hub.stages = stages
    words = ["--hardware", "cpu-basic", "--timeout", "30" if len(stages) > 1 else "0"]
    done = deploy(*words, HF_TOKEN=TOKEN)
    assert done.returncode == 1
    assert said in done.stderr
