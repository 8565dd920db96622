"""`make run MOTEURS=…`: environments of the engines that cannot share one, made once and never by surprise."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.process.environments import python_with
from scripts import engines
from scripts import setup as installer
from scripts.commands import Log
from scripts.environment import ROOT, SetupError
from scripts.pip import Pip
from scripts.stack import shared_variables


class Commands(Log):
    """A log that runs nothing: it makes the environment's folder, and writes the commands down."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.seen: list[list[str]] = []
        self.fail_at = ""

    def run(self, command: object, **_more: object) -> None:
        words = [str(word) for word in command]  # type: ignore[attr-defined]
        self.seen.append(words)
        if self.fail_at and self.fail_at in " ".join(words):
            raise SetupError("pip a échoué")
        if "venv" in words:
            python = Path(words[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setattr("scripts.pip.answers", lambda _url: True)
    monkeypatch.setattr("scripts.engines.VENV", tmp_path / "no-venv")
    monkeypatch.setattr("scripts.engines.checks.check_disk", lambda _folder, _bytes: None)
    return Commands(tmp_path / "log")


def engine(name: str, log: Log, tmp_path: Path, *, nvidia: bool = False) -> engines.Engine:
    return engines.Engine(name, {"ENGINES_DIR": str(tmp_path / "envs")}, log, installer.digest, nvidia=nvidia)


def make(name: str, log: Log, tmp_path: Path, **more: bool) -> bool:
    return engines.install([engine(name, log, tmp_path, **more)], log, begin=True)


@pytest.mark.parametrize("words", ["nemo pyannote", "nemo,pyannote", " NeMo , pyannote nemo"])
def test_engines_are_named_with_spaces_or_commas(words: str) -> None:
    assert engines.asked(words) == ["nemo", "pyannote"]
    assert engines.asked("  ") == []


def test_an_unknown_engine_is_refused_with_the_list() -> None:
    with pytest.raises(SetupError, match=r"^MOTEURS : moteur inconnu « whisper » ; connus : torch, nemo, .*pyannote"):
        engines.asked("nemo whisper")


def test_the_command_refuses_it_before_anything_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.setup", "--engines", "nodeps"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "moteur inconnu « nodeps »" in done.stderr


def test_make_run_hands_the_engines_over() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    command = ["make", "--dry-run", "run", "MOTEURS=nemo pyannote"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert '--run --engines "nemo pyannote"' in done.stdout


def test_an_environment_is_made_once(log: Commands, tmp_path: Path) -> None:
    assert make("nemo", log, tmp_path)
    venv, torch, libraries, nodeps = log.seen
    folder = tmp_path / "envs" / "nemo"
    assert venv[-1] == str(folder)
    assert {words[0] for words in log.seen[1:]} == {str(folder / "bin" / "python")}
    assert torch[-1] == "torch==2.13.0"
    assert "--no-deps" in torch
    assert "--index-url" in torch
    assert libraries[-3:] == ["-r", str(ROOT / "asr" / "requirements-nemo.txt"), "torch==2.13.0"]
    assert nodeps[-1] == str(ROOT / "asr" / "requirements-nodeps.txt")
    assert not make("nemo", log, tmp_path)
    assert len(log.seen) == 4


def test_pyannote_gets_the_torchaudio_of_its_torch(log: Commands, tmp_path: Path) -> None:
    make("pyannote", log, tmp_path)
    assert log.seen[1][-2] == "torch==2.13.0"
    assert log.seen[1][-1].startswith("torchaudio==")


def test_a_gpu_gets_the_other_build_of_torch(log: Commands, tmp_path: Path) -> None:
    make("nemo", log, tmp_path)
    assert make("nemo", log, tmp_path, nvidia=True), "a GPU was added: another build of torch is wanted"
    assert "--index-url" not in log.seen[-3]
    assert str(ROOT / "asr" / "requirements-nemo.txt") in log.seen[-3]


def test_what_is_half_made_is_made_again(log: Commands, tmp_path: Path) -> None:
    log.fail_at = "requirements-nemo.txt"
    with pytest.raises(SetupError):
        make("nemo", log, tmp_path)
    log.fail_at = ""
    assert make("nemo", log, tmp_path)
    (tmp_path / "envs" / "nemo" / "bin" / "python").unlink()
    assert make("nemo", log, tmp_path)


def test_other_requirements_make_it_again(log: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make("nemo", log, tmp_path)
    monkeypatch.setattr("scripts.engines.TORCH", "torch==9.9.9")
    assert make("nemo", log, tmp_path)


def test_a_link_is_somebody_elses_environment(log: Commands, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "bin").mkdir(parents=True)
    (theirs / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "nemo").symlink_to(theirs)
    assert not make("nemo", log, tmp_path)
    assert log.seen == []
    shutil.rmtree(theirs)
    with pytest.raises(SetupError, match="lien"):
        make("nemo", log, tmp_path)


def test_an_engine_that_the_services_have_gets_no_other_environment(
    log: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "pyannote").mkdir(parents=True)
    monkeypatch.setattr("scripts.engines.VENV", tmp_path / "venv")
    assert not make("pyannote", log, tmp_path)
    assert "déjà" in capsys.readouterr().out


def test_the_disk_is_looked_at_first(log: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_folder: Path, needed: int) -> None:
        raise SetupError(f"Il faut {needed}")

    monkeypatch.setattr("scripts.engines.checks.check_disk", full)
    with pytest.raises(SetupError, match="Il faut 5000000000"):
        make("nemo", log, tmp_path)
    assert log.seen == []


def test_the_services_find_what_was_made(log: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINES_DIR", str(tmp_path / "envs"))
    assert python_with("nemo") is None
    make("nemo", log, tmp_path)
    assert python_with("nemo") is None  # the environment is there, the library is not yet
    (tmp_path / "envs" / "nemo" / "lib" / "python3.11" / "site-packages" / "nemo").mkdir(parents=True)
    assert python_with("nemo") == str(tmp_path / "envs" / "nemo" / "bin" / "python")
    assert python_with("pytest") == sys.executable


def test_an_engine_that_is_asked_for_does_not_start_on_the_embedded_model(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "PATH": os.defpath}
    first = shared_variables(env)
    assert (first["ASR_MODEL"], first["DIARIZE_MODEL"]) == ("pocketsphinx", "resemblyzer")
    asked = shared_variables(env | {"ASR_ENGINE": "nemo", "DIARIZE_ENGINE": "auto", "IA_ENGINE": "transformers"})
    assert "ASR_MODEL" not in asked
    assert (asked["IA_MODEL"], asked["DIARIZE_MODEL"]) == ("frigo-mini", "resemblyzer")


def test_each_engine_is_locked_alone_with_its_service() -> None:
    for name, path in engines.known().items():
        pins = {line.partition("==")[0]: line for line in path.read_text(encoding="utf-8").splitlines()}
        assert pins["torch"] == "torch==2.13.0", name
        assert not any("nvidia" in pin or "+cpu" in pin or "://" in pin for pin in pins), name
        service = (path.parent / "requirements.in").read_text(encoding="utf-8").replace("_", "-")
        assert {line for line in service.splitlines() if "==" in line} <= {*pins.values()}, name
    assert set(engines.known()) == {"nemo", "pyannote"}


def test_pip_says_what_it_does_to_one_environment(log: Commands, tmp_path: Path) -> None:
    Pip(tmp_path / "python", log).uninstall("torch")
    assert log.seen == [[str(tmp_path / "python"), "-m", "pip", "uninstall", "-y", "torch"]]
