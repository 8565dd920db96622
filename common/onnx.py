"""ONNX models, run by onnxruntime on the CPU, in silence: nothing is told to its makers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

TELEMETRY_OFF = {"ORT_DISABLE_TELEMETRY": "1"}
"""From 1.29 on, onnxruntime's own wheels tell mobile.events.data.microsoft.com of every process and every model, unless
this variable is there before the library is imported."""


def onnx_session(model: Path, *, arena: bool = True) -> Any:
    """The model in a session of one thread: one recording uses one core, and services share the others out.

    Without `arena`, the memory of the largest batch ever seen is given back.
    """
    os.environ |= TELEMETRY_OFF
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
