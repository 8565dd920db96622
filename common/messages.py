"""Messages a person reads: French in the code, English through gettext catalogues.

A message is written once, in French, where it is needed: ``_("Modèle inconnu : %(model)s.", model=key)``.
It stays lazy, so that the language is the one of the request that reads it, not of the code that wrote it.
English comes from ``<service>/locales/en/LC_MESSAGES/frigo.mo``; a message without a translation stays French.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LANGUAGES = ("fr", "en")
_ROOT = Path(__file__).resolve().parent.parent
_SERVICES = ("common", "app", "chat", "gpt", "asr", "diarize")


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    """All services' translations to `language`, merged; French needs none."""
    merged = gettext.NullTranslations()
    if language == "fr":
        return merged
    for service in _SERVICES:
        folder = _ROOT / service / "locales"
        found = gettext.translation("frigo", folder, [language], fallback=True)
        if isinstance(found, gettext.GNUTranslations):
            found.add_fallback(merged)
            merged = found
    return merged


class Text:
    """A message with its parameters, rendered in a language as late as possible. ``str()`` gives French."""

    __slots__ = ("msgid", "params")

    def __init__(self, msgid: str, params: Mapping[str, object] | None = None) -> None:
        self.msgid = msgid
        self.params = dict(params or {})

    def render(self, language: str) -> str:
        """The message in `language` ("fr" or "en")."""
        template = _catalogue(language).gettext(self.msgid)
        params = {name: _render(value, language) for name, value in self.params.items()}
        return template % params if params else template

    def __str__(self) -> str:
        return self.render("fr")

    def __repr__(self) -> str:
        return f"Text({str(self)!r})"


@dataclass(frozen=True)
class Figure:
    """A number with `digits` decimals, in the way of the language that reads it. ``str()`` gives French."""

    value: float
    digits: int

    def render(self, language: str) -> str:
        """``0,32`` in French, ``0.32`` in English."""
        text = f"{self.value:.{self.digits}f}"
        return text if language == "en" else text.replace(".", ",")

    def __str__(self) -> str:
        return self.render("fr")

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def clock(seconds: float) -> str:
    """A moment of a recording: ``1:02:03``, or ``02:03`` under an hour."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def gigabytes(size: int) -> Figure:
    """`size` bytes in Go (10**9): one decimal from 10 Go, then two, and three for what would look like nothing."""
    value = size / 1e9
    return Figure(value, 1 if value >= 10 else 2 if value >= 0.1 else 3)


def _render(value: object, language: str) -> object:
    """A parameter in `language`: texts are rendered, lists are joined with commas."""
    if isinstance(value, Text | Figure):
        return value.render(language)
    if isinstance(value, list | tuple):
        return ", ".join(str(_render(item, language)) for item in value)
    return value


def _(msgid: str, **params: object) -> Text:
    """Mark `msgid` (French, ``%(name)s`` parameters) for translation and keep it lazy."""
    return Text(msgid, params)


def best_language(accept_language: str | None) -> str:
    """The language to answer in: English when ``Accept-Language`` prefers it to French, else French."""
    best, best_quality = "fr", 0.0
    for item in (accept_language or "").lower().split(","):
        tag, _sep, quality_text = item.strip().partition(";q=")
        primary = tag.split("-")[0]
        try:
            quality = float(quality_text) if quality_text else 1.0
        except ValueError:
            continue
        if primary in LANGUAGES and quality > best_quality:
            best, best_quality = primary, quality
    return best
