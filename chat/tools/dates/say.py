"""Dates as they are said, in French or in English."""

from __future__ import annotations

import calendar
from datetime import date

from chat.tools.dates.holidays import holidays
from common.messages import Text, _
from common.web import context

_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)


def said(text: Text) -> str:
    """`text` in the reader's language."""
    return text.render(context.language.get())


def _english() -> bool:
    return context.language.get() == "en"


def month_name(month: int) -> str:
    return calendar.month_name[month] if _english() else _MONTHS[month - 1]


def long(day: date) -> str:
    """``samedi 21 novembre 2026 (2026-11-21)``."""
    if _english():
        name = f"{calendar.day_name[day.weekday()]} {day.day} {month_name(day.month)} {day.year}"
    else:
        number = "1er" if day.day == 1 else str(day.day)
        name = f"{_DAYS[day.weekday()]} {number} {month_name(day.month)} {day.year}"
    return f"{name} ({day.isoformat()})"


def described(day: date) -> str:
    """All that is known of a day."""
    iso = day.isocalendar()
    about = _(
        "semaine ISO %(week)s de %(year)s, jour %(day)s de l'année",
        week=iso.week,
        year=iso.year,
        day=day.timetuple().tm_yday,
    )
    told = f"{long(day)}, {said(about)}"
    if (holiday := holidays(day.year).get(day)) is None:
        return told
    closed = _("férié en France")
    return f"{told}, {said(closed)} : {said(holiday)}"


def month_page(year: int, month: int) -> str:
    """A month as a calendar hung on a wall, weeks numbered as ISO does, French holidays below."""
    head = "Wk Mo Tu We Th Fr Sa Su" if _english() else "S  lu ma me je ve sa di"
    lines = [f"{month_name(month)} {year}", head]
    for week in calendar.Calendar().monthdatescalendar(year, month):
        days = " ".join(f"{day.day:2}" if day.month == month else "  " for day in week)
        lines.append(f"{week[0].isocalendar().week:2} {days}".rstrip())
    lines += [f"{day.day} : {said(name)}" for day, name in holidays(year).items() if day.month == month]
    return "\n".join(lines)
