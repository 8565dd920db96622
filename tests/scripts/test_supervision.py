"""`make run` under supervisor: what dies is restarted, and nothing outlives it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scripts.environment import ROOT
from scripts.run import Supervisor
from scripts.stack import STOP_SECONDS, Process, processes, service_token_file, shared_variables
from scripts.supervision import Happening, configuration, understand

SLEEPER = (sys.executable, "-c", "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600)")
DEAF = (sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Ended, whether or not its last parent has noticed."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start(folder: Path, *members: Process) -> Supervisor:
    path = folder / "supervisord.conf"
    path.write_text(configuration(members, folder, folder))
    return Supervisor(path, folder / "supervisor.log", dict(os.environ))


class Watch:
    """Waits for a happening, and keeps those that come before it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.seen: list[Happening] = []

    def __call__(self, kind: str, name: str) -> Happening:
        deadline = time.monotonic() + 60
        while True:
            self.seen += self.supervisor.happenings()
            for number, found in enumerate(self.seen):
                if (found.kind, found.name) == (kind, name):
                    del self.seen[: number + 1]
                    return found
            assert self.supervisor.process.poll() is None, "supervisor stopped"
            assert time.monotonic() < deadline, f"{name} was not {kind} in time"
            time.sleep(0.05)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    started = start(tmp_path, Process("one", SLEEPER), Process("two", SLEEPER))
    yield started
    started.stop()


def test_what_is_killed_is_announced_and_started_again(supervisor: Supervisor) -> None:
    watch = Watch(supervisor)
    first = watch("spawned", "two").pid
    watch("up", "two")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert "SIGKILL" in watch("exited", "two").why
    second = watch("spawned", "two").pid
    assert second not in {None, first}


def test_stopping_leaves_nothing_behind(supervisor: Supervisor) -> None:
    family = psutil.Process(supervisor.process.pid)
    wait_for(lambda: len(family.children(recursive=True)) == 4)
    members = family.children(recursive=True)
    supervisor.stop()
    wait_for(lambda: all(gone(member.pid) for member in members))


def test_a_process_deaf_to_sigterm_is_killed_in_under_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert STOP_SECONDS + 2 < 10, "what `stop` waits for at the most"
    for module in ("run", "supervision"):
        monkeypatch.setattr(f"scripts.{module}.STOP_SECONDS", 1)
    started = start(tmp_path, Process("deaf", DEAF))
    watch = Watch(started)
    pid = watch("spawned", "deaf").pid
    assert pid is not None
    watch("up", "deaf")
    started.stop()
    assert gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the death of a parent is signalled on Linux only")
def test_supervisor_does_not_outlive_a_runner_that_was_killed(tmp_path: Path) -> None:
    config = tmp_path / "supervisord.conf"
    config.write_text(configuration([Process("one", SLEEPER)], tmp_path, tmp_path))
    code = (
        "import os, time; from pathlib import Path; from scripts.run import Supervisor;"
        f"folder = Path({str(tmp_path)!r});"
        "s = Supervisor(folder / 'supervisord.conf', folder / 'supervisor.log', dict(os.environ));"
        "print(s.process.pid, flush=True); time.sleep(600)"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    family = psutil.Process(int(runner.stdout.readline()))
    wait_for(lambda: len(family.children(recursive=True)) == 2)
    members = [family, *family.children(recursive=True)]
    runner.kill()
    runner.communicate()
    wait_for(lambda: all(gone(member.pid) for member in members))


def test_the_journal_is_understood() -> None:
    assert understand("2026-11-21 07:00:00,1 INFO spawned: 'gpt' with pid 12") == Happening("spawned", "gpt", 12)
    assert understand("… INFO exited: app (exit status 4; not expected)") == Happening(
        "exited", "app", None, "exit status 4"
    )
    assert understand("… WARN exited: app (terminated by SIGSEGV (core dumped); not expected)") is not None
    assert understand("… INFO gave up: asr entered FATAL state, too many start retries too quickly") == Happening(
        "gave_up", "asr"
    )
    assert understand("… CRIT Supervisor is running as root.") is None


def test_the_configuration_holds_no_secret(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "SERVICE_TOKEN": "s3cret", "ADMIN_TOKEN": "s3cret", "PATH": os.environ["PATH"]}
    assert "s3cret" not in configuration(processes(env), tmp_path, tmp_path)


def test_odd_folder_names_are_kept_whole(tmp_path: Path) -> None:
    odd = tmp_path / "50 % d'espaces"
    odd.mkdir()
    command = (sys.executable, "-c", "import os,time;print(os.environ['X'],flush=True);time.sleep(600)")
    started = start(odd, Process("one", command, env={"X": "100 %"}))
    try:
        wait_for(lambda: (odd / "one.log").exists() and "100 %" in (odd / "one.log").read_text())
    finally:
        started.stop()


def test_only_app_is_opened_to_the_network(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "HOST_BIND_ADDRESS": "0.0.0.0", "PATH": os.environ["PATH"]}
    bound = {process.name: process.env.get("HOST_BIND_ADDRESS") for process in processes(env) if process.url}
    assert bound == {
        "app": "0.0.0.0",
        "chat": "127.0.0.1",
        "gpt": "127.0.0.1",
        "asr": "127.0.0.1",
        "diarize": "127.0.0.1",
    }


def test_the_embedded_models_serve_unless_told_otherwise(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    assert shared_variables(env)["IA_MODEL"] == "frigo-mini"
    assert shared_variables({**env, "IA_MODEL": "qwen"})["IA_MODEL"] == "qwen"


def test_the_service_token_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = service_token_file(tmp_path / "data")
    token = path.read_text()
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert service_token_file(tmp_path / "data").read_text() == token
