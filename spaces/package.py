"""Gather what the Space runs, from this checkout: the page's own files and the parts of Frigo that it uses."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = ("common", "chat", "gpt", "asr")
_OWN = ("space.py", "README.md", "frigo_space")
_KEPT = {".py", ".toml", ".json", ".mjs", ".mo", ".npz", ".safetensors", ".jinja"}
_LEFT_OUT = {"__pycache__", "node_modules", "training"}
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
MOST_BYTES = 200_000_000
FRONT_MATTER = ("title", "sdk", "sdk_version", "app_file", "suggested_hardware", "models", "tags")


class PackageError(Exception):
    """The Space cannot be packaged; the message says why, in French."""


@dataclass(frozen=True)
class Package:
    """A folder ready to be sent."""

    folder: Path
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(path.stat().st_size for path in self.files)


def package(target: Path, *, torch: bool) -> Package:
    """Write the Space into `target`, which is emptied. `torch`: with what a GPU needs. Raises `PackageError`."""
    check_front_matter((HERE / "README.md").read_text(encoding="utf-8"))
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in _OWN:
        _copy(HERE / name, target / name)
    for part in PARTS:
        _copy(ROOT / part, target / part)
    pins = HERE / ("requirements-torch.txt" if torch else "requirements.txt")
    shutil.copyfile(pins, target / "requirements.txt")
    shutil.copyfile(ROOT / "LICENSE", target / "LICENSE")
    files = tuple(sorted(path for path in target.rglob("*") if path.is_file()))
    found = Package(target, files)
    if found.size > MOST_BYTES:
        raise PackageError(f"Le Space pèserait {found.size / 1e6:.0f} Mo : plus de {MOST_BYTES / 1e6:.0f}.")
    return found


def check_front_matter(readme: str) -> dict[str, str]:
    """The first-level keys of the README's front matter. Raises `PackageError` for one that Hugging Face needs."""
    found = _FRONT.match(readme)
    if found is None:
        raise PackageError("README.md doit commencer par un en-tête entre deux lignes « --- ».")
    keys = dict(re.findall(r"^(\w+):[ \t]*(.*)$", found[1], re.MULTILINE))
    absent = [key for key in FRONT_MATTER if key not in keys]
    if absent:
        raise PackageError(f"L'en-tête de README.md n'a pas : {', '.join(absent)}.")
    if not (HERE / keys["app_file"]).is_file():
        raise PackageError(f"app_file désigne {keys['app_file']}, qui n'existe pas.")
    return keys


def _copy(source: Path, target: Path) -> None:
    """A file, or a folder without what is made or only serves to make."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return
    for path in sorted(source.iterdir()):
        made = path.name in _LEFT_OUT or path.name.startswith("ctranslate2-")  # a model converted here
        wanted = not made if path.is_dir() else path.suffix in _KEPT
        if wanted and not path.is_symlink():
            _copy(path, target / path.name)
