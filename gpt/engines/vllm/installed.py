"""Whether an interpreter has a vLLM that works, asked of it in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from gpt.engines.vllm.server import environment

SECONDS = 180.0  # the import reads a gigabyte of libraries; a cold disk takes its time
# Nothing is imported where there is no vllm. The device is the build's own, not the machine's.
_PROGRAM = """
import importlib.util, json, sys
if importlib.util.find_spec("vllm") is None:
    sys.exit(3)
import vllm.entrypoints.openai.api_server
from vllm.version import __version__
from vllm.platforms import current_platform
import torch
print("frigo:" + json.dumps({
    "version": __version__, "platform": current_platform.device_type or "", "cuda": torch.version.cuda is not None}))
"""
_log = logging.getLogger("frigo.vllm")


@dataclass(frozen=True)
class Vllm:
    """A vLLM that can be imported: its version, and whether it was built for CUDA."""

    version: str
    cuda: bool


@lru_cache(maxsize=8)
def available(python: str) -> Vllm | None:
    """The vLLM of the interpreter `python`, or None. Asked once for each; takes ten seconds where there is one."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROGRAM],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment(os.environ, {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}),
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        _log.warning("vllm cannot be asked for", extra={"reason": type(error).__name__})
        return None
    for line in done.stdout.splitlines():
        if line.startswith("frigo:"):
            said = json.loads(line.removeprefix("frigo:"))
            return Vllm(str(said["version"]), bool(said["cuda"]))
    if done.returncode != 3:
        last = done.stderr.strip().splitlines()[-1:]
        _log.warning("vllm cannot be imported", extra={"reason": last[0] if last else str(done.returncode)})
    return None
