"""Minutes: their shape, the schema that models write under, and the reading of what they wrote."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Any

from pydantic import BaseModel, Field

MAX_ITEMS = 60  # of each list, in one answer
MAX_ITEM = 600
MAX_SUMMARY = 6000
MAX_TRIES = 20  # braces at which an object may begin, in an answer that says something before it


class Source(BaseModel):
    """Where an item comes from: characters of the transcript, or of one of its segments; seconds when known."""

    segment: int | None = Field(default=None, description="Le rang (à partir de 0) du segment, si on en a donné")
    start: int = Field(description="Premier caractère, dans le segment ou dans la transcription donnée")
    end: int = Field(description="Après le dernier caractère")
    score: float = Field(description="1 : mot pour mot ; moins : reformulé ; sous 0,35 : seul le modèle le dit")
    start_s: float | None = None
    end_s: float | None = None


class Item(BaseModel, ABC):
    """Something of the minutes; `line` is the line that the model names as its source, in the part that it read."""

    seconds: float | None = Field(default=None, description="Quand cela s'est dit ; null : non daté")
    source: Source | None = None
    line: int | None = Field(default=None, exclude=True)

    @property
    @abstractmethod
    def said(self) -> str:
        """What to look for in the transcript."""


class Point(Item):
    text: str

    @property
    def said(self) -> str:
        return self.text


class Action(Item):
    """`who` and `when` are empty when nobody said."""

    who: str = ""
    what: str
    when: str = ""

    @property
    def said(self) -> str:
        return self.what


class Minutes(BaseModel):
    """`summary_points` are the sentences of the summary, with their sources."""

    summary: str = ""
    summary_points: list[Point] = Field(default_factory=list)
    decisions: list[Point] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)
    open_points: list[Point] = Field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.summary or self.decisions or self.actions or self.open_points)


class MinutesError(ValueError):
    """An answer that is no minutes; the message is English and meant for the model that wrote it."""


def minutes_schema(lines: int) -> dict[str, Any]:
    """JSON schema of what a model must answer about a transcript of `lines` numbered lines."""
    text = {"type": "string", "maxLength": 400}
    line = {"type": "integer", "minimum": 1, "maximum": max(1, lines)}
    return _object(
        {
            "summary": {"type": "string", "maxLength": 3000},
            "decisions": _array(_object({"text": text, "line": line})),
            "actions": _array(_object({"who": text, "what": text, "when": text, "line": line})),
            "open_points": _array(_object({"text": text, "line": line})),
        }
    )


def summary_schema() -> dict[str, Any]:
    """JSON schema of a summary alone."""
    return _object({"summary": {"type": "string", "maxLength": 3000}})


def same_schema(items: int) -> dict[str, Any]:
    """JSON schema of the groups of those of `items` numbered items that say the same thing."""
    number = {"type": "integer", "minimum": 1, "maximum": items}
    return _object({"same": _array({"type": "array", "items": number, "minItems": 2, "maxItems": 10})})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": 30}


def read_minutes(written: str) -> Minutes:
    """The minutes in a model's answer. Raises `MinutesError`."""
    data = read_object(written, ("summary", "decisions", "actions", "open_points"))
    return Minutes(
        summary=_clean(data.get("summary"))[:MAX_SUMMARY],
        decisions=_points(data.get("decisions")),
        actions=_actions(data.get("actions")),
        open_points=_points(data.get("open_points")),
    )


def read_summary(written: str) -> str:
    """The summary in a model's answer. Raises `MinutesError`."""
    summary = _clean(read_object(written, ("summary",)).get("summary"))[:MAX_SUMMARY]
    if not summary:
        raise MinutesError("The summary is empty.")
    return summary


def read_same(written: str, items: int) -> list[list[int]]:
    """The groups of repeated items (counted from 0) in a model's answer. Raises `MinutesError`."""
    groups = read_object(written, ("same",)).get("same")
    found = []
    for group in groups if isinstance(groups, list) else []:
        numbers = [n - 1 for n in group if _is_number(n) and 1 <= n <= items] if isinstance(group, list) else []
        if len(numbers) > 1:
            found.append(sorted(set(numbers)))
    return found


_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.S)


def read_object(written: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """The first JSON object with one of `keys` in a model's answer. Raises `MinutesError`."""
    text = _THOUGHTS.sub("", written)
    problem = "The answer holds no JSON object."
    for tried, found in enumerate(re.finditer(r"\{", text)):
        if tried == MAX_TRIES:
            break
        try:
            data = json.JSONDecoder().raw_decode(text, found.start())[0]
        except (ValueError, RecursionError) as error:
            problem = problem if tried else f"The answer is not valid JSON: {error}."
            continue
        if isinstance(data, dict) and any(key in data for key in keys):
            return data
        problem = f"The JSON object must have the keys {', '.join(keys)}."
    raise MinutesError(problem)


def _clean(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _points(value: object) -> list[Point]:
    """Points, whether written as objects or as plain strings."""
    points = []
    for item in value if isinstance(value, list) else []:
        text = _clean(item.get("text") if isinstance(item, dict) else item)[:MAX_ITEM]
        if text:
            points.append(Point(text=text, line=_line(item)))
    return points[:MAX_ITEMS]


def _actions(value: object) -> list[Action]:
    actions: list[Action] = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict) and (what := _clean(item.get("what"))):
            who, when = _clean(item.get("who")), _clean(item.get("when"))
            actions.append(
                Action(who=who[:MAX_ITEM], what=what[:MAX_ITEM], when=when[:MAX_ITEM], line=_line(item)),
            )
    return actions[:MAX_ITEMS]


def _line(item: object) -> int | None:
    line = item.get("line") if isinstance(item, dict) else None
    return line if _is_number(line) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
