"""onnxruntime works in silence: its makers are told nothing of who runs what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from common.process.variables import model_variables
from tests.test_architecture import PACKAGES, ROOT, imports, sources

LISTEN = """
import numpy as np
from common.audio.vad import SpeechDetector
detector = SpeechDetector()
detector.push(np.zeros(16_000, np.float32))
detector.finish()
"""


def test_listening_leaves_no_trace_of_telemetry(tmp_path: Path) -> None:
    """Its first sign is a file of sessions, written in the temporary folder even without a network."""
    # onnxruntime is silent by itself where it takes itself to be tested.
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    env = {**kept, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", LISTEN], cwd=ROOT, env=env, check=True)
    assert not list(tmp_path.iterdir())


def test_models_processes_start_silent() -> None:
    assert model_variables(use_gpu=False)["ORT_DISABLE_TELEMETRY"] == "1"


def test_nobody_else_imports_onnxruntime() -> None:
    where = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sources(package)
        if "onnxruntime" in {name for name, _top in imports(path)}
    }
    assert where == {"common/onnx.py"}
