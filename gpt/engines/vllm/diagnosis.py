"""What a server's log says of its end: the cause when it is a known one, and lines that can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from common.messages import Text, _

TAIL_LINES = 20
_MAX_LINE = 400
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PREFIX = re.compile(r"^\((?:APIServer|EngineCore|Worker|VllmWorker)[^)]*\)\s*")
_HEADER = re.compile(r"^(?:ERROR|WARNING|CRITICAL) \d\d-\d\d [\d:]+ \[[^\]]*\] ?")
_NOISE = re.compile(r"INFO\b|\s{2,}|Traceback|\W*$|.*Warning:")  # frames are indented; what is wrong is not
_PROGRESS = re.compile(r"\d+%\|.*\||\d+% Completed \|")
_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/'\":,()<>\]]+/)+([^\s/'\":,()<>\]]*)")
_SECRET = re.compile(r"\b(?:hf_|sk-)[A-Za-z0-9_-]{8,}|(?i:bearer\s+)\S+")

PORT_TAKEN = "port"
MEMORY = "memory"


@dataclass(frozen=True)
class Cause:
    """Why a server ended: `kind` for the code, `status` and `code` of the error, `text` for a person, and the line of
    the log that tells it."""

    kind: str
    status: int
    code: str
    text: Text
    line: str = ""


_CAUSES: tuple[tuple[re.Pattern[str], Cause], ...] = (
    (
        re.compile(r"address already in use", re.I),
        Cause(PORT_TAKEN, 503, "engine_failed", _("son port a été pris entre-temps.")),
    ),
    (
        re.compile(
            r"out of memory|OutOfMemoryError|Cannot allocate memory|bad_alloc|can't allocate memory|MemoryError"
            r"|No available memory for the cache|less than (?:desired|requested)|larger than the (?:maximum|available)"
            r"|KV cache (?:memory )?is needed|not enough memory|MemoryLimit",
            re.I,
        ),
        Cause(MEMORY, 507, "out_of_memory", _("la mémoire ne suffit pas.")),
    ),
    (
        re.compile(
            r"Failed to infer device type|No CUDA GPUs are available|no NVIDIA driver|libcuda|libcudart"
            r"|CUDA driver version is insufficient|no kernel image is available|CUDA is not available",
            re.I,
        ),
        Cause("cuda", 422, "cuda_missing", _("aucun GPU NVIDIA n'est utilisable par cette version de vLLM.")),
    ),
    (
        re.compile(r"No module named|cannot import name|undefined symbol|operator \S+ does not exist|ImportError"),
        Cause("install", 501, "engine_not_installed", _("l'environnement de VLLM_PYTHON est incomplet.")),
    ),
    (
        re.compile(
            r"not supported|does not support|Unsupported|no vLLM implementation|trust_remote_code"
            r"|Unknown quantization|must be divisible|Model architectures",
            re.I,
        ),
        Cause("unsupported", 422, "model_unsupported", _("vLLM ne sait pas servir ce modèle ainsi.")),
    ),
)


def cause_of(lines: Iterable[str], exit_code: int | None) -> Cause:
    """The first known cause in the log, else what the exit status tells."""
    clean = [_clean(line) for line in lines if " WARNING " not in line]  # what vLLM goes on from
    for pattern, cause in _CAUSES:
        for line in clean:
            if pattern.search(line) and not _NOISE.match(line):
                return replace(cause, line=line)
    if exit_code == 137:
        return Cause(MEMORY, 507, "out_of_memory", _("le système l'a arrêté : la mémoire a sans doute manqué."))
    return Cause("unknown", 503, "engine_failed", _("arrêt avec le code %(code)s.", code=exit_code))


def tail(lines: Iterable[str], hidden: Mapping[str, str]) -> str:
    """The last lines that tell something, without folders nor secrets. `hidden` maps what must not be shown to what
    is shown instead."""
    shown: list[str] = []
    for line in map(_clean, lines):
        if not _NOISE.match(line) and not _PROGRESS.search(line):
            line = scrub(line, hidden)[:_MAX_LINE]
            if shown[-1:] != [line]:
                shown.append(line)
    return "\n".join(shown[-TAIL_LINES:])


def _clean(line: str) -> str:
    """A line without colours, nor the names, times and places that vLLM's logger writes first."""
    return _HEADER.sub("", _PREFIX.sub("", _ANSI.sub("", line))).rstrip()


def scrub(text: str, hidden: Mapping[str, str]) -> str:
    """`text` without what is `hidden`, without paths (their last part stays) and without tokens."""
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, hidden[secret])
    return _PATH.sub(r"…/\1", _SECRET.sub("…", text))
