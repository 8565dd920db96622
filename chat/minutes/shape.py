"""Minutes: their shape, their reading from a model's answer, their merging, and their Markdown."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from typing import Any

from pydantic import BaseModel, Field

from chat.diagrams.tidy import fold
from chat.language import Language

MAX_ITEMS = 60
MAX_ITEM = 600
MAX_SUMMARY = 6000
SAME = 0.88  # two sentences that resemble each other more say the same


class Action(BaseModel):
    """`who` and `when` are empty when nobody said."""

    who: str = ""
    what: str
    when: str = ""


class Minutes(BaseModel):
    summary: str = ""
    decisions: list[str] = Field(default_factory=list)
    actions: list[Action] = Field(default_factory=list)
    open_points: list[str] = Field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.summary or self.decisions or self.actions or self.open_points)


class MinutesError(ValueError):
    """An answer that is no minutes; the message is English and meant for the model that wrote it."""


def minutes_schema() -> dict[str, Any]:
    """JSON schema of what a model must answer."""
    text = {"type": "string", "maxLength": 400}
    action = {
        "type": "object",
        "properties": {"who": text, "what": text, "when": text},
        "required": ["who", "what", "when"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "summary": {"type": "string", "maxLength": 3000},
            "decisions": {"type": "array", "items": text, "maxItems": 30},
            "actions": {"type": "array", "items": action, "maxItems": 30},
            "open_points": {"type": "array", "items": text, "maxItems": 30},
        },
        "required": ["summary", "decisions", "actions", "open_points"],
        "additionalProperties": False,
    }


def read_minutes(written: str) -> Minutes:
    """The minutes in a model's answer. Raises `MinutesError`."""
    begin = written.find("{")
    if begin < 0:
        raise MinutesError("The answer holds no JSON object.")
    try:
        data = json.JSONDecoder().raw_decode(written[begin:])[0]
    except (ValueError, RecursionError) as error:
        raise MinutesError(f"The answer is not valid JSON: {error}.") from error
    return Minutes(
        summary=_clean(data.get("summary"))[:MAX_SUMMARY],
        decisions=_texts(data.get("decisions")),
        actions=_actions(data.get("actions")),
        open_points=_texts(data.get("open_points")),
    )


def merge(parts: list[Minutes]) -> Minutes:
    """One set of minutes of those of successive parts of a meeting; what was said twice is kept once."""
    sentences = [sentence for part in parts for sentence in _sentences(part.summary)]
    actions: list[Action] = []
    for action in (action for part in parts for action in part.actions):
        known = next((a for a in actions if _same_action(a, action)), None)
        if known is None:
            actions.append(action)
        else:  # said again, perhaps with the date that was missing
            known.who = known.who or action.who
            known.when = known.when or action.when
    return Minutes(
        summary=" ".join(_unique(sentences)),
        decisions=_unique([item for part in parts for item in part.decisions]),
        actions=actions,
        open_points=_unique([item for part in parts for item in part.open_points]),
    )


_HEADINGS: dict[Language, tuple[str, str, str, str, str]] = {
    "fr": ("Résumé", "Décisions", "Actions", "Points ouverts", "Rien de relevé."),
    "en": ("Summary", "Decisions", "Actions", "Open points", "Nothing noted."),
}


def markdown(minutes: Minutes, language: Language) -> str:
    """The minutes as Markdown, whose headings are in `language`; their text can bring no Markdown of its own."""
    summary, decisions, actions, open_points, nothing = _HEADINGS[language]
    sections = [
        (summary, _escape(minutes.summary)),
        (decisions, _list([_escape(item) for item in minutes.decisions])),
        (actions, _list([_action_line(action, language) for action in minutes.actions])),
        (open_points, _list([_escape(item) for item in minutes.open_points])),
    ]
    return "\n\n".join(f"## {title}\n\n{body or nothing}" for title, body in sections) + "\n"


def _list(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _action_line(action: Action, language: Language) -> str:
    colon = " : " if language == "fr" else ": "
    who = f"**{_escape(action.who)}**{colon}" if action.who else ""
    when = f" ({_escape(action.when)})" if action.when else ""
    return f"{who}{_escape(action.what)}{when}"


_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")
_BLOCK = re.compile(r"^(\s*)(#{1,6}(?=\s)|[-+](?=\s)|(\d+)([.)])(?=\s))")


def _escape(text: str) -> str:
    safe = _MARKDOWN.sub(r"\\\1", text)
    return _BLOCK.sub(lambda m: f"{m[1]}{m[3]}\\{m[4]}" if m[3] else f"{m[1]}\\{m[2]}", safe)


def _clean(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else []
    return _unique([_clean(item)[:MAX_ITEM] for item in items])[:MAX_ITEMS]


def _actions(value: object) -> list[Action]:
    actions: list[Action] = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, dict) or not (what := _clean(item.get("what"))):
            continue
        who, when = _clean(item.get("who")), _clean(item.get("when"))
        action = Action(who=who[:MAX_ITEM], what=what[:MAX_ITEM], when=when[:MAX_ITEM])
        if not any(_same_action(known, action) for known in actions):
            actions.append(action)
    return actions[:MAX_ITEMS]


def _unique(items: list[str]) -> list[str]:
    kept: list[str] = []
    for item in items:
        if item and not any(_same(item, other) for other in kept):
            kept.append(item)
    return kept


def _same(one: str, other: str) -> bool:
    a, b = fold(one), fold(other)
    if a == b:
        return True
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return matcher.real_quick_ratio() > SAME and matcher.quick_ratio() > SAME and matcher.ratio() > SAME


def _same_action(one: Action, other: Action) -> bool:
    return _same(one.what, other.what) and (not one.who or not other.who or fold(one.who) == fold(other.who))


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?…])\s+", text) if sentence]
