"""Take the speaker encoder's weights out of the `resemblyzer` wheel: 17 MB of training state become 5.7 MB of ONNX.

`python -m diarize.engines.embedded.convert TARGET.onnx` when an environment or an image is built; the engine does it
by itself when the file is missing. None of torch, onnx and resemblyzer is imported.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from diarize.engines.embedded.checkpoint import CheckpointError, read_checkpoint
from diarize.engines.embedded.onnx_file import encoder_model

_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"


def wheel_file() -> Path:
    """`pretrained.pt` in the installed wheel. Raises FileNotFoundError."""
    spec = find_spec("resemblyzer")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "pretrained.pt"
        if path.is_file():
            return path
    raise FileNotFoundError("resemblyzer (pip install --no-deps resemblyzer)")


def convert(source: Path, target: Path) -> None:
    """Write the model to `target`, atomically.

    Raises CheckpointError when `source` is not the file we know.
    """
    if hashlib.sha256(source.read_bytes()).hexdigest() != _SHA256:
        raise CheckpointError(f"{source.name} is not the published file")
    state = read_checkpoint(source)["model_state"]
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    partial.write_bytes(encoder_model(state))
    partial.replace(target)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Usage : python -m diarize.engines.embedded.convert CIBLE.onnx")
    try:
        convert(wheel_file(), Path(sys.argv[1]))
    except (FileNotFoundError, CheckpointError) as error:
        sys.exit(f"Conversion impossible : {error}")


if __name__ == "__main__":
    main()
