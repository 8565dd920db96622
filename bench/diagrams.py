"""Diagrams: what the real Mermaid parser says of the official examples and of hostile labels, and how fast.

Every example of ../shared/data/mermaid (411 that Mermaid accepts, 57 that it refuses), then 50 drawings of each of the
ten kinds, made of random labels of signs, keywords and HTML, after serialization. Times are of one warm parser, one
diagram at a time, through `MermaidParser`; the load of the machine is beside them, as it changes them.
`python -m bench.diagrams` writes bench/results/diagrams.json.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

import psutil

from chat.diagrams.kinds.registry import KINDS
from chat.diagrams.labels import clean_label
from chat.diagrams.parser import MermaidParser
from tests.chat.drawings import drawing_of
from tests.chat.hostile import random_label

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT.parent / "shared" / "data" / "mermaid"
RESULTS = ROOT / "bench" / "results" / "diagrams.json"
EACH = 50
SEED = 20261121


def hostile_drawings() -> dict[str, list[str]]:
    """`EACH` diagrams of each kind, always the same ones."""
    rng = random.Random(SEED)

    def label() -> str:
        while not (made := clean_label(random_label(rng))):
            pass
        return made

    drawn = {kind: [drawing_of(kind, [label() for _ in range(4)])[0] for _ in range(EACH)] for kind in KINDS}
    return {kind: [KINDS[kind].serialize(one, None) for one in ones] for kind, ones in drawn.items()}


def judge(parser: MermaidParser, texts: list[str], times: list[float] | None = None) -> list[bool | None]:
    """The verdict on each diagram; how long each took, in seconds, is added to `times`."""
    verdicts = []
    for text in texts:
        began = time.perf_counter()
        verdicts.append(parser.check(text).valid)
        if times is not None:
            times.append(time.perf_counter() - began)
    return verdicts


def main() -> None:
    parser = MermaidParser()
    began = time.perf_counter()
    parser.check("flowchart TD\n  a --> b")
    results: dict[str, Any] = {"mermaid": parser.version, "start_and_first_s": round(time.perf_counter() - began, 2)}
    times: list[float] = []
    if EXAMPLES.is_dir():
        valid = [case["code"] for case in json.loads((EXAMPLES / "valid_sample.json").read_text())]
        invalid = [case["code"] for case in json.loads((EXAMPLES / "invalid.json").read_text())]
        judge(parser, valid)  # the first diagram of a kind loads its grammar
        results["official"] = {
            "valid": len(valid),
            "accepted": judge(parser, valid, times).count(True),
            "invalid": len(invalid),
            "refused": judge(parser, invalid).count(False),
        }
    drawings = hostile_drawings()
    judge(parser, [texts[0] for texts in drawings.values()])
    accepted = {kind: judge(parser, texts, times).count(True) for kind, texts in drawings.items()}
    results["hostile"] = {"drawn": EACH * len(KINDS), "accepted": sum(accepted.values()), "by_kind": accepted}
    cuts = statistics.quantiles(times, n=100)
    results["parse_ms"] = {
        "count": len(times),
        "median": round(statistics.median(times) * 1000, 2),
        "p95": round(cuts[94] * 1000, 2),
        "p99": round(cuts[98] * 1000, 2),
    }
    results["resident_mb"] = round(psutil.Process(parser.pid).memory_info().rss / 1e6)
    results["machine"] = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    parser.close()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
