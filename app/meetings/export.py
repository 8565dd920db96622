"""A meeting as files: Markdown, text, subtitles, RTTM, Mermaid, JSON. All take the meeting as `view.full` gives it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from app.meetings.store import Turns
from common.errors import ApiError
from common.messages import Text, _, clock
from common.speech import subtitles
from common.speech.cues import Passage
from common.speech.rttm import rttm
from common.speech.words import Turn, Word

Meeting = Mapping[str, Any]
_LISTS = ((_("Décisions"), "decisions"), (_("Actions"), "actions"), (_("Points ouverts"), "open_points"))
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|])")


def _name(meeting: Meeting, speaker: str) -> str:
    return str(meeting["speakers"].get(speaker, speaker))


def text(meeting: Meeting) -> str:
    """The transcript, one line per segment: ``[02:03] Name: words``."""
    return "".join(f"[{clock(s['start'])}] {_name(meeting, s['speaker'])}: {s['text']}\n" for s in meeting["segments"])


def srt(meeting: Meeting) -> str:
    """SubRip."""
    return subtitles.srt(_passages(meeting))


def vtt(meeting: Meeting) -> str:
    """WebVTT, with voice tags."""
    return subtitles.vtt(_passages(meeting))


def _passages(meeting: Meeting) -> list[Passage]:
    return [
        Passage([Word(**word) for word in segment["words"]], _name(meeting, segment["speaker"]))
        for segment in meeting["segments"]
    ]


def turns(meeting: Meeting, found: Turns) -> str:
    """NIST RTTM of the diarization's turns; people who have a name are written by it."""
    spoken = [Turn(turn["speaker"], turn["start"], turn["end"]) for turn in found.all]
    return rttm(spoken, meeting["id"], found.names)


def mermaid(meeting: Meeting) -> str:
    """The diagram's text. Raises ApiError 404 when there is none."""
    if not meeting["diagram"]:
        raise ApiError(404, "no_diagram", _("Cette réunion n'a pas de diagramme."))
    return str(meeting["diagram"]["mermaid"]).rstrip("\n") + "\n"


def as_json(meeting: Meeting) -> str:
    """Everything, as ``GET /api/meetings/{id}`` gives it."""
    return json.dumps(meeting, ensure_ascii=False, indent=2) + "\n"


def markdown(meeting: Meeting, language: str) -> str:
    """Minutes, diagram and transcript on one page."""

    def say(words: Text) -> str:
        return words.render(language)

    facts = [meeting["created_at"][:10]]
    if meeting["duration"]:
        facts.append(clock(meeting["duration"]))
    facts += [_plain(name) for name in meeting["speakers"].values()]
    parts = [f"# {_plain(meeting['title'])}", " · ".join(facts)]
    parts += [f"> {_plain(warning)}" for warning in meeting["warnings"]]
    if meeting["minutes"]:
        parts.append(_minutes(meeting["minutes"], say))
    if meeting["diagram"]:
        parts += [f"## {say(_('Diagramme'))}", f"```mermaid\n{mermaid(meeting)}```"]
    parts.append(f"## {say(_('Transcription'))}")
    for segment in meeting["segments"]:
        name = _plain(_name(meeting, segment["speaker"]))
        parts.append(f"**{name}** ({clock(segment['start'])}) : {_plain(segment['text'])}")
    return "\n\n".join(parts) + "\n"


def _plain(said: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(said.split()))


def _minutes(minutes: Mapping[str, Any], say: Callable[[Text], str]) -> str:
    parts = [f"## {say(_('Compte rendu'))}", _plain(minutes.get("summary") or "")]
    for title, key in _LISTS:
        items = minutes.get(key) or []
        if items:
            parts += [f"### {say(title)}", "\n".join(f"- {_item(item)}" for item in items)]
    return "\n\n".join(part for part in parts if part)


def _item(item: Any) -> str:
    """A point or an action, and the moment it was said."""
    if isinstance(item, str):  # as minutes were before they had moments
        return _plain(item)
    who, what, when, text = (_plain(str(item.get(key) or "")) for key in ("who", "what", "when", "text"))
    moment = f" · {clock(item['seconds'])}" if item.get("seconds") is not None else ""
    return (f"**{who}** : " if who else "") + (text or what) + (f" ({when})" if when else "") + moment
