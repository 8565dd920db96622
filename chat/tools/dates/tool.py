"""The tool `date`: what day it is, sums on dates, calendars, public holidays of France."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from chat.tools.dates.holidays import holidays, is_worked, worked_days
from chat.tools.dates.say import described, long, month_page, said
from chat.tools.tool import Arguments, Call, Tool, ToolError
from common.messages import _

FIRST_YEAR, LAST_YEAR = 1600, 9000
"""The Gregorian calendar's; the end leaves room for what is added."""
MOST_WORKED = 10_000
_NUMERIC = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[/.](\d{1,2})[/.](\d{4})")
_RELATIVE = {
    **{"aujourd'hui": 0, "aujourdhui": 0, "today": 0, "maintenant": 0, "now": 0},
    **{"demain": 1, "tomorrow": 1, "après-demain": 2, "hier": -1, "yesterday": -1, "avant-hier": -2},
}


class DateArguments(Arguments):
    operation: Literal["jour", "ajouter", "difference", "calendrier", "feries"] = Field(
        default="jour",
        description="jour : dire une date (sans « date » : aujourd'hui) ; ajouter ; difference : de « date » à "
        "« fin » ; calendrier : le mois de « date » ; feries : jours fériés français de l'année de « date »",
    )
    date: str | None = Field(
        default=None, max_length=40, description="AAAA-MM-JJ, JJ/MM/AAAA, demain… ; absent : aujourd'hui"
    )
    fin: str | None = Field(default=None, max_length=40, description="Pour difference ; absent : aujourd'hui")
    jours: int = Field(default=0, ge=-3_000_000, le=3_000_000, description="À ajouter ; négatif : ôter")
    jours_ouvres: int = Field(default=0, ge=-MOST_WORKED, le=MOST_WORKED)
    semaines: int = Field(default=0, ge=-400_000, le=400_000)
    mois: int = Field(default=0, ge=-90_000, le=90_000)
    annees: int = Field(default=0, ge=-8_000, le=8_000)
    fuseau: str = Field(default="Europe/Paris", max_length=60, description="Fuseau IANA")


def make_date_tool(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Tool[DateArguments]:
    """`now`: with its zone."""

    def run(arguments: DateArguments, _call: Call) -> str:
        moment = now().astimezone(_zone(arguments.fuseau))
        today = moment.date()
        day = _read(arguments.date, today)
        if arguments.operation == "calendrier":
            return month_page(day.year, day.month)
        if arguments.operation == "feries":
            return "\n".join(f"{long(one)} : {said(name)}" for one, name in holidays(day.year).items())
        if arguments.operation == "difference":
            return _difference(day, _read(arguments.fin, today))
        if arguments.operation == "ajouter":
            return described(_added(day, arguments))
        if day != today:
            return f"{described(day)}\n{_distance(today, day)}"
        time = _("il est %(time)s (%(zone)s)", time=moment.strftime("%H:%M"), zone=arguments.fuseau)
        return f"{described(today)}\n{said(time)}"

    return Tool(
        name="date",
        title=_("Date et calendrier"),
        description=_(
            "Donne la date et l'heure, ajoute ou ôte des jours, des jours ouvrés, des semaines, des mois ou des "
            "années, compte entre deux dates, montre le calendrier d'un mois et les jours fériés français."
        ),
        arguments=DateArguments,
        run=run,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolError(_("Fuseau inconnu : « %(zone)s ». Exemple : Europe/Paris.", zone=name)) from error


def _read(text: str | None, today: date) -> date:
    word = (text or "today").strip().lower().replace("’", "'")
    if word in _RELATIVE:
        return today + timedelta(_RELATIVE[word])
    found = _NUMERIC.fullmatch(word.partition("t")[0].strip())
    try:
        if found is None:
            raise ValueError
        year, month, day = map(int, found.groups()[:3] if found[1] else reversed(found.groups()[3:]))
        read = date(year, month, day)
    except ValueError as error:
        raise ToolError(_("Date incomprise : « %(text)s ». Attendu : AAAA-MM-JJ.", text=text)) from error
    return _bounded(read)


def _bounded(day: date) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ToolError(_("Les dates vont de %(first)s à %(last)s.", first=FIRST_YEAR, last=LAST_YEAR))
    return day


def _added(day: date, arguments: DateArguments) -> date:
    """Years and months first, the day brought back to the month's last if need be; then days; then working days."""
    months = day.year * 12 + day.month - 1 + arguments.annees * 12 + arguments.mois
    try:
        year, month = divmod(months, 12)
        moved = date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
        moved = _bounded(moved + timedelta(arguments.jours + 7 * arguments.semaines))
    except (ValueError, OverflowError) as error:
        raise ToolError(_("Les dates vont de %(first)s à %(last)s.", first=FIRST_YEAR, last=LAST_YEAR)) from error
    step = timedelta(1 if arguments.jours_ouvres > 0 else -1)
    for _day in range(abs(arguments.jours_ouvres)):
        moved += step
        while not is_worked(moved):
            moved += step
    return moved


def _difference(first: date, last: date) -> str:
    early, late = sorted((first, last))
    head = _("Du %(first)s au %(last)s", first=long(first), last=long(last))
    months = (late.year - early.year) * 12 + late.month - early.month - (late.day < early.day)
    years, months = divmod(months, 12)
    start = _added(early, DateArguments(annees=years, mois=months))
    parts = _(
        "%(days)s jours, soit %(years)s ans, %(months)s mois et %(rest)s jours, dont %(worked)s jours ouvrés en France",
        days=(last - first).days,
        years=years,
        months=months,
        rest=(late - start).days,
        worked=worked_days(early, late),
    )
    return f"{said(head)} : {said(parts)}"


def _distance(today: date, day: date) -> str:
    days = (day - today).days
    return said(_("dans %(days)s jour(s)", days=days) if days > 0 else _("il y a %(days)s jour(s)", days=-days))
