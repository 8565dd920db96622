"""Minutes (the JSON of /api/minutes) as a text to draw, and the way back from its characters to the seconds said."""

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from chat.diagrams.labels import Drawing, clean_label
from common.errors import ApiError
from common.messages import Text, _

LISTS = ("decisions", "actions", "open_points")
MOST_ITEMS = 1000  # of each list


@dataclass
class Told:
    """`text` is what sources refer to: a sentence a line. `moments` are (first character, seconds, until), in order."""

    text: str
    warnings: list[Text] = field(default_factory=list)
    moments: list[tuple[int, float | None, float | None]] = field(default_factory=list)

    def date(self, drawing: Drawing) -> None:
        """Give the items of a drawing of this text the seconds of the sentence that each comes from."""
        starts = [start for start, _begin, _end in self.moments]
        for item in drawing.items():
            if item.source is not None:
                _start, begin, end = self.moments[max(0, bisect_right(starts, item.source.start) - 1)]
                item.source.start_s, item.source.end_s = begin, end


def read_minutes_given(given: Any) -> Told:
    """The minutes in a JSON object, or in its text. Raises `ApiError` 400 on what holds no sentence."""
    data = _object(given)
    sentences = [*_summary(data)]
    missing = []
    for name in LISTS:
        items = data.get(name)
        found = [_sentence(item) for item in items[:MOST_ITEMS]] if isinstance(items, list) else []
        sentences += [said for said in found if said[0]]
        if not isinstance(items, list):
            missing.append(name)
    if not any(char.isalnum() for text, *_times in sentences for char in text):
        raise _refused(_("Ce compte rendu est vide : il n'y a rien à dessiner."))
    warnings = [_("Absents du compte rendu : %(lists)s.", lists=", ".join(missing))] if missing else []
    parts: list[str] = []
    moments: list[tuple[int, float | None, float | None]] = []
    at = 0
    for text, begin, end in sentences:
        moments.append((at, begin, end))
        parts.append(text)
        at += len(text) + 1
    return Told("\n".join(parts), warnings, moments)


def _object(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise _refused(_("Ce compte rendu n'est pas du JSON valide.")) from error
    if not isinstance(given, dict):
        raise _refused(_("Un compte rendu est un objet JSON, tel que le donne /api/minutes."))
    return given


_Said = tuple[str, float | None, float | None]


def _summary(data: dict[str, Any]) -> list[_Said]:
    """The summary by sentences with their moments when they are given, else whole."""
    points = data.get("summary_points")
    found = [_sentence(point) for point in points[:MOST_ITEMS]] if isinstance(points, list) else []
    if any(text for text, *_times in found):
        return [said for said in found if said[0]]
    whole = _line(data.get("summary"))
    return [(whole, None, None)] if whole else []


def _sentence(item: Any) -> _Said:
    if isinstance(item, str):
        return _line(item), None, None
    if not isinstance(item, dict):
        return "", None, None
    what, who, when = (_words(item.get(key)) for key in ("what", "who", "when"))
    action = (f"{who} : " if who else "") + what + (f" ({when})" if when else "") if what else ""
    text = _line(item.get("text")) or _line(action)
    source = item.get("source")
    end = _number(source.get("end_s")) if isinstance(source, dict) else None
    return text, _number(item.get("seconds")), end


def _words(value: Any) -> str:
    return " ".join(clean_label(value).split()) if isinstance(value, str) else ""


def _line(value: Any) -> str:
    text = _words(value)
    return text if not text or text[-1] in ".!?…" else f"{text}."


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None


def _refused(message: Text) -> ApiError:
    return ApiError(400, "invalid_minutes", message, "minutes")
