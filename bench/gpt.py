"""Tokens a second over HTTP: Frigo's engines beside `transformers serve` and vLLM on the CPU, in one run.

    python -m bench.gpt            writes bench/results/gpt.json
    python -m bench.gpt --rounds 1 --only frigo   a quick look

An 87.5M-parameter random bfloat16 Llama; chats of about 64 tokens in and exactly 64 out, greedy, streamed, by 1, 8
and 16 clients at once; no two prompts are alike, so that none is found in a cache. Servers run one at a time, each in
its turn of every round, so that a machine that slows down slows them all; the best of the rounds is kept for each.
Peers are installed in environments of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import string
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from bench import peers
from bench.serving.clients import load
from bench.serving.random_models import llama_87m
from bench.serving.server import Server, frigo
from scripts.environment import ROOT

RESULTS = ROOT / "bench" / "results" / "gpt.json"
CONCURRENCY = (1, 8, 16)
TOKENS = 64
LETTERS = ("abcde", string.ascii_lowercase, string.ascii_lowercase)  # words that are pieces of the vocabulary
WORDS = 30  # of the prompt: a token each in the random tokenizer, one for each space, and the template's own
Start = Callable[[], AbstractContextManager[Server]]


def servers(model: Path) -> dict[str, tuple[Start, str]]:
    """Each server's start and the model's name there."""
    name = model.name
    return {
        "frigo ctranslate2 int8": (lambda: frigo(model, IA_ENGINE="ctranslate2"), name),
        "frigo transformers bf16": (lambda: frigo(model, IA_ENGINE="transformers", IA_QUANTIZATION="none"), name),
        "frigo transformers int8": (lambda: frigo(model, IA_ENGINE="transformers", IA_QUANTIZATION="int8"), name),
        "transformers serve": (lambda: closing(peers.transformers_serve(model)), str(model)),
        "transformers serve, batching": (lambda: closing(peers.transformers_serve(model, batching=True)), str(model)),
        "vllm cpu": (lambda: closing(peers.vllm_serve(model)), str(model)),
    }


def measure(start: Start, name: str) -> dict[str, Any]:
    """One server's turn: tokens a second and the median first token, by concurrency; memory after all of it."""
    draw = random.Random(0)

    def body() -> dict[str, Any]:
        words = ("".join(draw.choice(letters) for letters in LETTERS) for _word in range(WORDS))
        messages = [{"role": "user", "content": " ".join(words)}]
        return {"model": name, "messages": messages, "max_tokens": TOKENS, "temperature": 0}

    seen: dict[str, Any] = {}
    with start() as server:
        load(server.url, body, 2, 1)  # warm
        for concurrent in CONCURRENCY:
            run = load(server.url, body, concurrent, 4 if concurrent == 1 else 2)
            if run.failed:
                raise SystemExit(f"{name} at {concurrent}: {run.failed[0]}")
            short = [one.tokens for one in run.answers if one.tokens != TOKENS]
            if short:
                raise SystemExit(f"{name} at {concurrent}: answers of {short} tokens instead of {TOKENS}")
            seen[str(concurrent)] = {
                "tokens_per_second": round(run.tokens_per_second, 1),
                "first_token_ms": round(1000 * statistics.median(one.first for one in run.answers)),
            }
        seen["memory_mb"] = server.memory()
        seen["ready_seconds"] = server.seconds
    return seen


def best(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """The best round by concurrency; memory of the last."""
    kept = {
        str(n): max((turn[str(n)] for turn in turns), key=lambda seen: float(seen["tokens_per_second"]))
        for n in CONCURRENCY
    }
    return {**kept, "memory_mb": turns[-1]["memory_mb"], "ready_seconds": turns[-1]["ready_seconds"]}


def ratios(results: dict[str, Any]) -> dict[str, Any]:
    """Frigo's best engine over each peer, by concurrency."""
    ours = [seen for name, seen in results.items() if name.startswith("frigo")]
    given: dict[str, Any] = {}
    for name, seen in results.items():
        if not name.startswith("frigo"):
            given[name] = {
                str(n): round(
                    max(one[str(n)]["tokens_per_second"] for one in ours) / seen[str(n)]["tokens_per_second"], 2
                )
                for n in CONCURRENCY
            }
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="servers whose name holds this word")
    parser.add_argument("--models", type=Path, default=peers.CACHE / "models", help="where random models are kept")
    args = parser.parse_args()
    model = llama_87m(args.models / "random-llama-87m")
    turns: dict[str, list[dict[str, Any]]] = {}
    for turn in range(args.rounds):
        for name, (start, asked) in servers(model).items():
            if args.only in name:
                seen = measure(start, asked)
                turns.setdefault(name, []).append(seen)
                print(f"{turn + 1}/{args.rounds} {name}: {json.dumps(seen)}", flush=True)
    results = {name: best(seen) for name, seen in turns.items()}
    answer = {
        "model": "random Llama, 87.5M parameters, bfloat16",
        "tokens": {"out": TOKENS},
        "rounds": args.rounds,
        "servers": results,
        "frigo_over_peer": ratios(results),
        "cpu_count": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(answer["frigo_over_peer"], indent=1))
    if not args.only:
        RESULTS.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
