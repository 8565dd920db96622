"""VLLM_ARGS: the arguments of vLLM's that a variable may add."""

from __future__ import annotations

import shlex

FLAGS = frozenset(
    {
        "--async-scheduling",
        "--block-size",
        "--cpu-offload-gb",
        "--data-parallel-size",
        "--dtype",
        "--enable-auto-tool-choice",
        "--enable-chunked-prefill",
        "--enable-expert-parallel",
        "--enable-lora",
        "--enable-prefix-caching",
        "--enforce-eager",
        "--kv-cache-dtype",
        "--kv-cache-memory-bytes",
        "--limit-mm-per-prompt",
        "--max-lora-rank",
        "--max-loras",
        "--max-model-len",
        "--max-num-batched-tokens",
        "--max-num-seqs",
        "--no-enable-chunked-prefill",
        "--no-enable-prefix-caching",
        "--pipeline-parallel-size",
        "--quantization",
        "--reasoning-parser",
        "--seed",
        "--swap-space",
        "--tensor-parallel-size",
        "--tool-call-parser",
    }
)


def read_extra_args(value: str) -> tuple[str, ...]:
    """VLLM_ARGS as arguments. Raises `ValueError` (French) on one that is not of `FLAGS`: the others could open
    the server to the network, run a model's own code or read any file."""
    try:
        words = shlex.split(value)
    except ValueError:
        raise ValueError("guillemets mal fermés") from None
    for at, word in enumerate(words):
        flag = word.partition("=")[0]
        if word.startswith("-") and not _is_number(word):
            if flag not in FLAGS:
                raise ValueError(f"argument refusé « {flag} » ; acceptés : {', '.join(sorted(FLAGS))}")
        elif at == 0:
            raise ValueError(f"« {word} » ne suit aucun argument")
    return tuple(words)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
