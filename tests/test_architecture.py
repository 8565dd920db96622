"""The rules of the house, checked on the code itself (docs/architecture.md says why)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("app", "asr", "chat", "diarize", "gpt")
PACKAGES = ("common", *SERVICES)
HEAVY = {
    "torch",
    "transformers",
    "nemo",
    "pyannote",
    "vllm",
    "onnxruntime",
    "pocketsphinx",
    "ctranslate2",
    "llguidance",
}


def sources(package: str) -> Iterator[Path]:
    """The package's own Python files."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if "node_modules" not in path.parts:
            yield path


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(top-level name, is at module level) of each import in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], id(node) in top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], id(node) in top


@pytest.mark.parametrize("package", PACKAGES)
def test_a_service_imports_common_and_itself(package: str) -> None:
    others = set(SERVICES) - {package}
    wrong = {f"{path.relative_to(ROOT)} → {name}" for path in sources(package) for name, _top in imports(path)} & {
        f"{path.relative_to(ROOT)} → {other}" for path in sources(package) for other in others
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_heavy_libraries_stay_inside_engines(package: str) -> None:
    allowed = ("engines", "training", "audio")
    wrong = [
        f"{path.relative_to(ROOT)} → {name}"
        for path in sources(package)
        if not set(allowed) & set(path.relative_to(ROOT).parts)
        for name, top in imports(path)
        if top and name in HEAVY
    ]
    assert not wrong


def test_light_modules_do_not_import_torch(tmp_path: Path) -> None:
    modules = "app.wsgi, chat.wsgi, app.worker, common.audio.decode, common.web.client"
    code = f"import sys, {modules}; sys.exit(', '.join({{'torch', 'transformers'}} & set(sys.modules)) or 0)"
    env = {"DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"one of {modules} imports {done.stderr}"


@pytest.mark.parametrize("package", PACKAGES)
def test_init_files_are_nearly_empty(package: str) -> None:
    for path in sources(package):
        if path.name == "__init__.py":
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 3, path


@pytest.mark.parametrize("package", PACKAGES)
def test_every_message_has_its_english(package: str) -> None:
    folder = ROOT / package / "locales" / "en" / "LC_MESSAGES"
    written = {
        message
        for _file, _line, message, _comments, _context in extract_from_dir(
            str(ROOT / package), [("**.py", "python")], keywords={"_": None}
        )
        if isinstance(message, str) and message
    }
    if not written:
        return
    with (folder / "frigo.po").open("rb") as po, (folder / "frigo.mo").open("rb") as mo:
        source = {message.id: message.string for message in read_po(po) if message.id}
        compiled = {message.id: message.string for message in read_mo(mo) if message.id}
    assert written == {key for key, english in source.items() if english}, "run `make messages` and translate"
    assert source == compiled, "run `make messages`: the compiled catalogue is not the source"


def test_no_file_carries_the_path_of_one_machine() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    wrong = []
    for name in filter(None, files):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".in", ".yml", ".ts", ".tsx", ".json"} and path.is_file():
            text = path.read_text(encoding="utf-8")
            wrong += [f"{name}: {bad}" for bad in ("/" + "root/", "/" + "work/", "/" + "home/") if f" {bad}" in text]
    assert not wrong
