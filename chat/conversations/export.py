"""A conversation as a file: the branch that is read as Markdown, all of it as JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any
from urllib.parse import quote

from chat.conversations.models import ConversationMessage
from chat.conversations.store import Whole
from chat.conversations.tree import branch
from common.messages import Text, _
from common.web import context

_YOU, _INSTRUCTIONS = _("Vous"), _("Instructions")
_UNTITLED = _("Discussion")
_UNFINISHED = _("Réponse inachevée.")
_TOOL = _("Outil")


def markdown(whole: Whole) -> str:
    parts = [f"# {title(whole)}"]
    for message in branch(whole.messages, whole.row.current_id):
        parts.append(f"## {_who(message)}")
        parts += [_run(run) for run in message.tool_runs or []]
        if message.content.strip():
            parts.append(message.content.strip())
        if message.diagram and isinstance(drawn := message.diagram.get("mermaid"), str):
            parts.append(fenced(drawn.strip(), "mermaid"))
        if message.role == "assistant" and message.state != "done":
            parts.append(f"*{_said(_UNFINISHED)}*")
    return "\n\n".join(parts) + "\n"


def fenced(text: str, language: str = "") -> str:
    """A block of code, whatever fences there are in it."""
    longest = max((len(fence) for fence in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def title(whole: Whole) -> str:
    return " ".join(whole.row.title.split()) or _said(_UNTITLED)


def attachment(name: str, ext: str) -> str:
    """Content-Disposition of a download of that name, in ASCII and in full (RFC 6266)."""
    words = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', " ", name).split()
    full = " ".join(words).strip(" .…")[:100] or "discussion"
    plain = " ".join(unicodedata.normalize("NFKD", full).encode("ascii", "ignore").decode().split()) or "discussion"
    return f"attachment; filename=\"{plain}.{ext}\"; filename*=UTF-8''{quote(f'{full}.{ext}', safe='')}"


def _who(message: ConversationMessage) -> str:
    if message.role == "assistant":
        return message.model or "Frigo"
    return _said(_YOU if message.role == "user" else _INSTRUCTIONS)


def _run(run: dict[str, Any]) -> str:
    asked = f"{_said(_TOOL)} : {run.get('name')} {_plain(run.get('arguments'))}".strip()
    given = _plain(run.get("result"))
    return fenced(f"{asked}\n→ {given}")


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _said(text: Text) -> str:
    return text.render(context.language.get())
