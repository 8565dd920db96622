"""A meeting as JSON: DESIGN's shape, in the reader's language."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.meetings.models import RUNNING, Meeting, Step
from app.meetings.notes import unpack, unpack_error
from common.messages import _

_MODELS = {"asr": "asr", "diarize": "diarize", "chat": "diagram"}


def default_names(speakers: list[str], language: str) -> dict[str, str]:
    """« Intervenant 1 », « Intervenant 2 »… in the order in which they are heard."""
    return {speaker: _("Intervenant %(n)s", n=n).render(language) for n, speaker in enumerate(speakers, start=1)}


def names(meeting: Meeting, speakers: list[str], language: str) -> dict[str, str]:
    """The name of each speaker: the person's choice, else a number."""
    return {key: meeting.speakers.get(key, name) for key, name in default_names(speakers, language).items()}


def heard(segments: list[dict[str, Any]]) -> list[str]:
    """Speaker ids in the order in which they first speak."""
    return list(dict.fromkeys(segment["speaker"] for segment in segments))


def summary(meeting: Meeting, language: str) -> dict[str, Any]:
    """What a list shows."""
    return {
        "id": meeting.id,
        "title": meeting.title,
        "state": meeting.state,
        "created_at": meeting.created_at.isoformat(),
        "updated_at": meeting.updated_at.isoformat(),
        "duration": meeting.duration,
        "language": meeting.language,
        "synthetic": meeting.synthetic,
        "file_name": meeting.file_name,
        "steps": [_step(step, language) for step in meeting.steps],
        "error": unpack_error(meeting.error, language),
    }


def full(meeting: Meeting, language: str) -> dict[str, Any]:
    """Everything known of a meeting so far."""
    results = {
        step.name: json.loads(step.result) if step.result else None for step in meeting.steps if step.name != "asr"
    }
    segments = (results["join"] or {}).get("segments", [])
    called = names(meeting, heard(segments), language)
    models = {key: meeting.step(step).model for key, step in _MODELS.items()}
    models["chat"] = models["chat"] or meeting.step("minutes").model
    return summary(meeting, language) | {
        "speakers": called,
        "segments": segments,
        "minutes": _minutes(results["minutes"], called),
        "diagram": results["diagram"],
        "recognised": _recognised(results["diarize"]),
        "models": models,
        "warnings": warnings(meeting, language),
    }


def warnings(meeting: Meeting, language: str) -> list[str]:
    """Warnings of every step, each once, in order."""
    found = (unpack(note, language) for step in meeting.steps for note in step.warnings)
    return list(dict.fromkeys(found))


def _step(step: Step, language: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": step.name,
        "state": step.state,
        "progress": round(step.progress, 4),
        "seconds": step.seconds,
    }
    if step.seconds_done is not None and step.seconds_total is not None:
        shown |= {"seconds_done": round(step.seconds_done, 2), "seconds_total": round(step.seconds_total, 2)}
        if step.rate:
            shown["rate"] = round(step.rate, 2)
            if step.state == RUNNING:
                shown["eta_seconds"] = round(max(0.0, step.seconds_total - step.seconds_done) / step.rate, 1)
    if step.error is not None:
        shown["error"] = unpack_error(step.error, language)
    return shown


def _recognised(result: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The speakers whose voice was known: under which name, and how alike the voices are (cosine)."""
    speakers = (result or {}).get("speakers", [])
    return {s["id"]: {"name": s["name"], "similarity": s.get("similarity")} for s in speakers if s.get("name")}


def _minutes(result: dict[str, Any] | None, called: Mapping[str, str]) -> dict[str, Any] | None:
    """The minutes, with the names that speakers have now rather than those they had when it was written."""
    if result is None:
        return None
    written = result.get("names", {})
    renamed = {old: called[key] for key, old in written.items() if key in called and called[key] != old}
    minutes = {key: value for key, value in result.items() if key != "names"}
    if not renamed:
        return minutes
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(renamed, key=len, reverse=True))) + r")(?!\w)")
    return _replaced(minutes, pattern, renamed)  # type: ignore[no-any-return]  # a dict gives a dict


def _replaced(value: Any, pattern: re.Pattern[str], by: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda match: by[match.group()], value)
    if isinstance(value, list):
        return [_replaced(item, pattern, by) for item in value]
    if isinstance(value, dict):
        return {key: _replaced(item, pattern, by) for key, item in value.items()}
    return value
