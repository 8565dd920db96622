"""Run Frigo in the foreground: `make run`. supervisor keeps the processes alive; this shows what happens, in French."""

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import psutil

from scripts.console import say, tail
from scripts.environment import PYTHON, ROOT, SetupError, bind_address, data_dir, log_dir, variables
from scripts.stack import STOP_SECONDS, prepare, processes, shared_variables
from scripts.supervision import Happening, configuration, understand

SLOW_START_S = 180.0
REFUSED_SETTINGS = "Configuration refusée"  # what a wsgi.py says of a wrong variable before it exits
_PR_SET_PDEATHSIG = 1


def is_ready(url: str) -> bool:
    """Whether the service at `url` can do its work."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=3) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


class Supervisor:
    """supervisord as a child that never outlives this process. Its journal is a file: a pipe would break with us."""

    def __init__(self, config: Path, journal: Path, env: dict[str, str]) -> None:
        journal.write_text("", encoding="utf-8")
        self._journal = journal.open(encoding="utf-8", errors="replace")
        self._begun = ""
        with journal.open("a") as errors:
            self.process = subprocess.Popen(
                [PYTHON, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", config],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # no thread runs yet
            )

    def happenings(self) -> Iterator[Happening]:
        """What the journal says since the last time."""
        while line := self._journal.readline():
            self._begun += line
            if self._begun.endswith("\n"):
                line, self._begun = self._begun, ""
                if happening := understand(line):
                    yield happening

    def stop(self) -> None:
        """End every process, at the latest two seconds after supervisor's own limit."""
        try:
            family = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS + 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _, alive = psutil.wait_procs(family, timeout=0.3)
        for left in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        self._journal.close()


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Runner:
    """Follows the journal and the readiness of each service, and says what changes."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.logs = log_dir(env)
        self._journal = self.logs / "supervisor.log"
        self.processes = processes(env)
        self.supervisor: Supervisor | None = None
        self.started = time.monotonic()
        self.ready: set[str] = set()
        self.warned = False
        self.announced = False
        self.stopping = False

    def run(self) -> int:
        """Until a signal (0), or a service that cannot start (1)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        folder = data_dir(self.env) / "run"
        try:
            shared = shared_variables(self.env)
            prepare(self.env)
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"Écriture refusée : {error.filename} (voyez DATA_DIR et LOG_DIR).") from error
        config = folder / "supervisord.conf"
        config.write_text(configuration(self.processes, folder, self.logs), encoding="utf-8")
        for process in self.processes:
            (self.logs / f"{process.name}.log").open("a").close()
        self.positions = {p.name: (self.logs / f"{p.name}.log").stat().st_size for p in self.processes}
        say(f"Démarrage de {len(self.processes)} processus (journaux dans {self.logs})")
        self.supervisor = Supervisor(config, self._journal, shared)
        try:
            return self._follow(self.supervisor)
        finally:
            begun = time.monotonic()
            self.supervisor.stop()
            say(f"Frigo est arrêté ({time.monotonic() - begun:.1f} s).")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self.stopping:
            self.stopping = True
            say("\nArrêt…")

    def _follow(self, supervisor: Supervisor) -> int:
        while not self.stopping:
            over = supervisor.process.poll() is not None
            for happening in supervisor.happenings():
                if self._react(happening):
                    return 1
            if over:
                say(f"supervisor s'est arrêté ; la fin de son journal :\n{tail(self._journal.read_text())}")
                return 1
            self._poll()
            time.sleep(0.3)
        return 0

    def _poll(self) -> None:
        """Say what has become ready since the last time."""
        asked = [process for process in self.processes if process.url and process.name not in self.ready]
        if asked:
            with ThreadPoolExecutor(len(asked)) as pool:  # a service that is loading answers slowly
                for process, ready in zip(asked, pool.map(lambda one: is_ready(str(one.url)), asked), strict=True):
                    if ready:
                        self._is_up(process.name)
        waiting = [process.name for process in self.processes if process.name not in self.ready]
        if not waiting and not self.announced:
            self.announced = True
            self._welcome()
        if waiting and not self.warned and not self.announced and time.monotonic() - self.started > SLOW_START_S:
            self.warned = True
            for name in waiting:
                say(f"{name} n'est toujours pas prêt ; la fin de {self.logs / f'{name}.log'} :\n{self._log(name)}")

    def _is_up(self, name: str) -> None:
        self.ready.add(name)
        again = "de nouveau " if self.announced else ""
        say(f"  {name:<8} {again}prêt" + ("" if self.announced else f" ({time.monotonic() - self.started:.0f} s)"))

    def _react(self, happening: Happening) -> bool:
        """Answer to what supervisor says; True when Frigo must stop."""
        name = happening.name
        if happening.kind == "up" and name == "worker" and name not in self.ready:
            self._is_up(name)
        elif happening.kind == "exited":
            self.ready.discard(name)
            refusal = next((line for line in self._log(name, 40).splitlines() if REFUSED_SETTINGS in line), None)
            if refusal:
                say(f"{name} : {refusal.strip()}")
                return True
            say(f"  {name:<8} s'est arrêté ({_in_french(happening.why)}) : on le relance")
        elif happening.kind == "gave_up":
            say(f"{name} ne démarre pas ; la fin de {self.logs / f'{name}.log'} :\n{self._log(name)}")
            return not self.announced
        return False

    def _log(self, name: str, lines: int = 12) -> str:
        """The end of what `name` wrote since this start."""
        with (self.logs / f"{name}.log").open("rb") as file:
            if self.positions[name] <= file.seek(0, 2):
                file.seek(self.positions[name])
            else:  # rotated since
                file.seek(0)
            return tail(file.read()[-64_000:].decode("utf-8", "replace"), lines)

    def _welcome(self) -> None:
        url = next((process.url for process in self.processes if process.name == "app"), None)
        say(f"\nFrigo est prêt en {time.monotonic() - self.started:.0f} s : {url}")
        if bind_address(self.env) not in {"127.0.0.1", "localhost"}:
            say(f"Ouvert au réseau sur {bind_address(self.env)} (HOST_BIND_ADDRESS).")
        if not (self.env.get("ADMIN_TOKEN") or self.env.get("ADMIN_TOKEN_FILE")):
            say(f"Jeton de la page Supervision : {data_dir(self.env) / 'admin_token'}")
        say("« make demo » traite la réunion d'exemple ; Ctrl-C arrête tout.\n")


def _in_french(why: str) -> str:
    return why.replace("terminated by", "tué par").replace("exit status", "code").strip()


def main() -> int:
    try:
        return Runner(variables()).run()
    except SetupError as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
