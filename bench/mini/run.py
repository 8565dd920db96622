"""Score a folder on the three hand-written test sets beside this file."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.mini.generate import Mini
from bench.mini.measures import GraphScore, MinutesScore
from chat.embedded_prompts import diagram_request, minutes_request

HERE = Path(__file__).parent


def load(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return rows


def evaluate(folder: Path, limit: int | None = None, show: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Scores per language and task; `limit` keeps the first rows of each set, `show` gets every answer."""
    mini = Mini(folder)
    scores: dict[str, Any] = {"diagrams": {}}
    seconds: list[float] = []
    for language in ("fr", "en"):
        graph_score = GraphScore()
        for row in [row for row in load("diagrams") if row["language"] == language][:limit]:
            began = time.perf_counter()
            found = mini.request(diagram_request(row["text"]))
            seconds.append(time.perf_counter() - began)
            graph_score.add(found, row["graph"])
            if show:
                show(f"{row['text']}\n   -> {_short(found)}")
        scores["diagrams"][language] = graph_score.summary()
    minutes_score = MinutesScore()
    for row in load("minutes")[:limit]:
        answer = mini.request(minutes_request(row["text"]))
        minutes_score.add(answer, row["minutes"])
        if show:
            show(f"{row['text']}\n   -> {json.dumps(answer, ensure_ascii=False)}")
    scores["minutes"] = minutes_score.summary()
    right = 0
    questions = load("questions")[:limit]
    for row in questions:
        text = mini.answer([{"role": "user", "content": row["question"]}], max_tokens=120)
        right += all(word in text for word in row["expected"])
        if show:
            show(f"{row['question']} -> {text}")
    scores["questions"] = {"right": round(right / len(questions), 3)}
    scores["counts"] = {name: len(load(name)) for name in ("diagrams", "minutes", "questions")}
    scores["seconds_per_diagram"] = round(statistics.median(seconds), 2)
    return scores


def _short(graph: dict[str, Any] | None) -> str:
    if graph is None:
        return "cut"
    nodes = " | ".join(f"{node['kind'][0]}{node['actor'][0]}{node['label']}" for node in graph["nodes"])
    return (
        nodes
        + " || "
        + " ".join(
            f"{edge['from'][1:]}>{edge['to'][1:]}{':' + edge['label'] if 'label' in edge else ''}"
            for edge in graph["edges"]
        )
    )
