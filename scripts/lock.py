"""Pin every `requirements.in` into its `requirements.txt`, one set of versions for the whole house: `make lock`.

The union is resolved first and constrains each service. An engine with an environment of its own
(`requirements-<engine>.in`) contradicts the others, and is resolved alone. Where packages come from (pip's own
configuration) is used but never written. torch stays `torch==X`, without the CPU build's suffix nor CUDA's packages:
the set-up chooses the build.
"""

import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.environment import PORTS, PYTHON, ROOT, VENV

UNION = ROOT / "requirements-dev.in"
HEADER = "# Figé par « make lock » à partir de {source} : ne pas modifier à la main.\n"
_BUILD_ONLY = re.compile(r"^(nvidia-|cuda-|triton\b)")


def index_flags() -> list[str]:
    """uv's flags for the indexes that this machine's pip uses."""
    shown = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    flags: list[str] = []
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in {"index-url", "extra-index-url", "find-links"}:
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
    for source in sorted(ROOT.glob("*/requirements-*.in")):
        write(source, compile_pins(source))
    return 0


if __name__ == "__main__":
    sys.exit(main())
