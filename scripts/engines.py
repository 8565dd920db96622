"""What `make run MOTEURS="torch nemo pyannote"` adds. Standard library only.

``torch`` adds the libraries of the engines that compute with it (transformers, nanochat) to the services' own
environment; `scripts.setup` does it. The others cannot share one, and get each its own, made once under ENGINES_DIR
(`.engines`) from the file `<service>/requirements-<engine>.txt`; a service starts a model's process with it
(`common.process.environments`). What was made stays until it is asked for again with other requirements. A link to an
environment made elsewhere is used as it is.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts import checks
from scripts.commands import Log
from scripts.console import Progress, say
from scripts.environment import ROOT, VENV, SetupError
from scripts.pip import TORCH, Pip

STAMP = "frigo-engine.json"
# Measured: NeMo's environment takes 2.4 GB, pyannote's 1.7 GB, pip's temporary files as much again; with CUDA's
# libraries, torch's build brings 4 GB more.
_CPU_BYTES = 5_000_000_000
_GPU_BYTES = 12_000_000_000
_TORCH_INDEX_HAS = re.compile(r"^torchaudio==\S+$", re.MULTILINE)
_FILE = re.compile(r"requirements-(?P<name>[a-z0-9]+)\.txt")
SHARED = "torch"  # in the services' own environment
_NOT_ENGINES = {"nodeps", "transformers", SHARED}  # transformers: in an image of its own; elsewhere it comes with torch


def known(root: Path = ROOT) -> dict[str, Path]:
    """The engines that have an environment of their own, and the requirements of each."""
    found = {}
    for path in sorted(root.glob("*/requirements-*.txt")):
        match = _FILE.fullmatch(path.name)
        if match and match["name"] not in _NOT_ENGINES:
            found[match["name"]] = path
    return found


def asked(words: str, root: Path = ROOT) -> list[str]:
    """The engines that MOTEURS names (`known`, `SHARED`), separated by spaces or commas.

    Raises `SetupError` for one that is none.
    """
    names = list(dict.fromkeys(word.lower() for word in re.split(r"[\s,]+", words) if word))
    engines = [SHARED, *known(root)]
    for name in names:
        if name not in engines:
            raise SetupError(f"MOTEURS : moteur inconnu « {name} » ; connus : {', '.join(engines)}.")
    return names


def folder(env: Mapping[str, str]) -> Path:
    """Where the environments are."""
    return ROOT / env.get("ENGINES_DIR", ".engines")


class Engine:
    """One engine's environment. `digest(files, *words)` names a state of its inputs."""

    def __init__(
        self, name: str, env: Mapping[str, str], log: Log, digest: Callable[..., str], *, nvidia: bool
    ) -> None:
        self.name = name
        self.folder = folder(env) / name
        self._env = env
        self._log = log
        self._nvidia = nvidia
        self._requirements = known()[name]
        self._nodeps = self._requirements.with_name("requirements-nodeps.txt")
        files = [path for path in (self._requirements, self._nodeps) if path.is_file()]
        self._inputs = digest(files, sys.version.split()[0], sys.base_prefix, TORCH, str(nvidia))

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def fresh(self) -> bool:
        """Whether nothing is left to do."""
        if self.folder.is_symlink():
            if self.python.is_file():
                return True
            raise SetupError(f"{self.folder} est un lien, et il n'y a pas de Python au bout : enlevez-le.")
        try:
            said = json.loads((self.folder / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(said, dict) and said.get("inputs") == self._inputs and self.python.is_file()

    def build(self, progress: Progress) -> None:
        """Make it from nothing. Raises `SetupError`; what is half made is made again the next time."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        checks.check_disk(self.folder.parent, _GPU_BYTES if self._nvidia else _CPU_BYTES)
        with progress.step(f"Moteur {self.name} : torch ({'NVIDIA' if self._nvidia else 'processeur'})"):
            shutil.rmtree(self.folder, ignore_errors=True)
            self._log.run([sys.executable, "-m", "venv", "--clear", self.folder])
            pip = Pip(self.python, self._log)
            pins = self._requirements.read_text(encoding="utf-8")
            beside = _TORCH_INDEX_HAS.findall(pins)
            pip.torch(self._env, [self._requirements], nvidia=self._nvidia, beside=beside)
        with progress.step(f"Moteur {self.name} : bibliothèques"):
            pip.install("-r", self._requirements, TORCH)
            if self._nodeps.is_file():
                pip.install("--no-deps", "-r", self._nodeps)
        stamp = json.dumps({"engine": self.name, "inputs": self._inputs}, indent=1)
        (self.folder / STAMP).write_text(stamp, encoding="utf-8")


def install(engines: list[Engine], log: Log, *, begin: bool) -> bool:
    """Make those that are not there; whether there were any. `begin` empties the log before. Raises `SetupError`."""
    waiting = []
    for engine in engines:
        if any(VENV.glob(f"lib/python3*/site-packages/{engine.name}")):
            say(f"Moteur {engine.name} : déjà dans .venv.")
        elif not engine.fresh():
            waiting.append(engine)
    if not waiting:
        return False
    if begin:
        log.begin()
    say(f"Moteurs à installer : {', '.join(engine.name for engine in waiting)} ; quelques minutes chacun, une fois.")
    try:
        with Progress() as progress:
            for engine in waiting:
                engine.build(progress)
    except KeyboardInterrupt:
        log.stop()
        raise
    return True
