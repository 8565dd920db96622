"""Minutes as Markdown, whose headings are in `language`; their text can bring no Markdown of its own."""

from __future__ import annotations

import re

from chat.language import Language
from chat.minutes.shape import Action, Minutes, Point
from common.messages import clock

_HEADINGS: dict[Language, tuple[str, str, str, str, str]] = {
    "fr": ("Résumé", "Décisions", "Actions", "Points ouverts", "Rien de relevé."),
    "en": ("Summary", "Decisions", "Actions", "Open points", "Nothing noted."),
}


def markdown(minutes: Minutes, language: Language) -> str:
    """A heading for each list; an item whose moment is known ends with it."""
    summary, decisions, actions, open_points, nothing = _HEADINGS[language]
    sections = [
        (summary, _escape(minutes.summary)),
        (decisions, _list([_point_line(point) for point in minutes.decisions])),
        (actions, _list([_action_line(action, language) for action in minutes.actions])),
        (open_points, _list([_point_line(point) for point in minutes.open_points])),
    ]
    return "\n\n".join(f"## {title}\n\n{body or nothing}" for title, body in sections) + "\n"


def _list(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _point_line(point: Point) -> str:
    return _escape(point.text) + _moment(point.seconds)


def _action_line(action: Action, language: Language) -> str:
    colon = " : " if language == "fr" else ": "
    who = f"**{_escape(action.who)}**{colon}" if action.who else ""
    when = f" ({_escape(action.when)})" if action.when else ""
    return f"{who}{_escape(action.what)}{when}{_moment(action.seconds)}"


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else f" · {clock(seconds)}"


_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")
_BLOCK = re.compile(r"^(\s*)(#{1,6}(?=\s)|[-+](?=\s)|(\d+)([.)])(?=\s))")


def _escape(text: str) -> str:
    safe = _MARKDOWN.sub(r"\\\1", text)
    return _BLOCK.sub(lambda m: f"{m[1]}{m[3]}\\{m[4]}" if m[3] else f"{m[1]}\\{m[2]}", safe)
