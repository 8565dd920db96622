"""Pin every `requirements.in` into its `requirements.txt`, one set of versions for the whole house: `make lock`.

The union is resolved first and constrains each service. An engine with an environment of its own
(`requirements-<engine>.in`) contradicts the others, and is resolved alone. Where packages come from (pip's own
configuration) is used but never written. torch stays `torch==X`, without the CPU build's suffix nor CUDA's packages:
the set-up chooses the build.

What images install is the same pins with the hashes of PyPI's files, in `docker/locks`: everything but torch, whose
build an image chooses too. Those for GPUs take it, CUDA's libraries and vLLM from two locks of their own.
"""

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from scripts.dockerfiles import CUDA
from scripts.environment import PORTS, PYTHON, ROOT, VENV

UNION = ROOT / "requirements-dev.in"
HEADER = "# Figé par « make lock » à partir de {source} : ne pas modifier à la main.\n"
HASHED = ROOT / "docker" / "locks"
SHARED = {"torch"}  # engines that live in the service's own environment: the union constrains them too
_UNUSED = {"hf-xet"}  # huggingface_hub asks for it; `common.hub` downloads by itself
_CUDA_PLATFORM = "x86_64-manylinux_2_28"
_BUILD_ONLY = re.compile(r"^(nvidia-|cuda-|triton\b)")


def index_flags(options: Collection[str] = ("index-url", "extra-index-url", "find-links")) -> list[str]:
    """uv's flags for the indexes that this machine's pip uses."""
    shown = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    flags: list[str] = []
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in options:
            for place in str(ast.literal_eval(value)).split():
                flags += [f"--{option}", place]
    return flags


def clean(compiled: str) -> str:
    """What is committed: pins only, the same whichever build of torch the resolution saw."""
    lines = [line for line in compiled.splitlines() if line and not line.startswith(("#", "--", " "))]
    pins = [re.sub(r"\+cpu\b", "", line) for line in lines if not _BUILD_ONLY.match(line)]
    return "\n".join(pins) + "\n"


def compile_pins(source: Path, constraint: Path | None = None) -> str:
    command: list[str | Path] = [
        VENV / "bin" / "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--python",
        PYTHON,
    ]
    command += ["--index-strategy", "unsafe-best-match", *index_flags()]
    if constraint:
        command += ["-c", constraint]
    done = subprocess.run([*command, source], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{source.relative_to(ROOT)} ne se résout pas :\n{done.stderr}")
    return clean(done.stdout)


def hashed(sources: list[Path]) -> str:
    """The pins of these files, each with the hashes of all its files on the index."""
    lines = {line for path in sources for line in path.read_text(encoding="utf-8").splitlines()}
    pins = [line for line in sorted(lines) if "==" in line and line.partition("==")[0] not in {"torch", *_UNUSED}]
    command = [str(VENV / "bin" / "uv"), "pip", "compile", "--quiet", "--no-deps", "--generate-hashes", "--no-annotate"]
    # An index beside PyPI may have some of a version's files only, not those of another machine.
    command += ["--no-header", "--python", str(PYTHON), *index_flags(("index-url",)), "-"]
    done = subprocess.run(command, input="\n".join(pins), capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"Les empreintes ne se trouvent pas :\n{done.stderr}")
    return "".join(f"{line}\n" for line in done.stdout.splitlines() if not line.startswith("--"))


def write_hashed() -> None:
    """One file for each set of libraries that an image installs: a service's own, or an engine's beside it."""
    HASHED.mkdir(parents=True, exist_ok=True)
    for service in PORTS:
        folder = ROOT / service
        beside = [path for path in [folder / "requirements-nodeps.txt"] if path.is_file()]
        for source in [folder / "requirements.txt", *sorted(folder.glob("requirements-*.txt"))]:
            engine = source.stem.partition("-")[2]
            if engine == "nodeps":
                continue
            target = HASHED / (f"{service}-{engine}.txt" if engine else f"{service}.txt")
            names = ", ".join(str(path.relative_to(ROOT)) for path in [source, *beside])
            target.write_text(HEADER.format(source=names) + hashed([source, *beside]), encoding="utf-8")
            print(f"{target.relative_to(ROOT)}")


def write_cuda() -> None:
    """The locks of what a GPU image alone installs: with CUDA's libraries, and every hash."""
    for name, requirement in CUDA.items():
        command: list[str | Path] = [VENV / "bin" / "uv", "pip", "compile", "--quiet", "--generate-hashes"]
        command += ["--no-annotate", "--no-header", "--python-version", "3.11", "--python-platform", _CUDA_PLATFORM]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as any_version:
            any_version.write("certifi\n")  # vLLM wants one so recent that an index may not have it yet
            any_version.flush()
            command += ["--override", any_version.name, *index_flags(("index-url",)), "-"]
            done = subprocess.run(command, input=requirement, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            raise SystemExit(f"{requirement} ne se résout pas :\n{done.stderr}")
        target = HASHED / f"{name}.txt"
        target.write_text(HEADER.format(source=requirement) + done.stdout, encoding="utf-8")
        print(f"{target.relative_to(ROOT)}")


def write(source: Path, pins: str) -> None:
    """The pins of `source`, beside it."""
    target = source.with_suffix(".txt")
    target.write_text(HEADER.format(source=source.name) + pins, encoding="utf-8")
    print(f"{target.relative_to(ROOT)} : {len(pins.splitlines())} paquets")


def main() -> int:
    union = compile_pins(UNION)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraint:
        constraint.write(union)
        constraint.flush()
        for source in [UNION, *(ROOT / folder / "requirements.in" for folder in (*PORTS, "scripts"))]:
            if not source.exists():
                continue
            pins = union if source == UNION else compile_pins(source, Path(constraint.name))
            write(source, pins)
        for source in [ROOT / "spaces" / "requirements.in", *sorted(ROOT.glob("*/requirements-*.in"))]:
            shared = source.stem.partition("-")[2] in SHARED and source.parent.name in PORTS
            write(source, compile_pins(source, Path(constraint.name) if shared else None))
    write_hashed()
    write_cuda()
    return 0


if __name__ == "__main__":
    sys.exit(main())
