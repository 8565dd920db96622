"""French public holidays (Code du travail, L3133-1), and working days: Monday to Friday but for these."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from common.messages import Text, _

_FIXED = {
    (1, 1): _("jour de l'An"),
    (5, 1): _("fête du Travail"),
    (5, 8): _("8 mai 1945"),
    (7, 14): _("fête nationale"),
    (8, 15): _("Assomption"),
    (11, 1): _("Toussaint"),
    (11, 11): _("11 novembre 1918"),
    (12, 25): _("Noël"),
}
_AFTER_EASTER = {1: _("lundi de Pâques"), 39: _("Ascension"), 50: _("lundi de Pentecôte")}


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm, Nature, 20 April 1876)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    leaps, left = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon + 15) % 30
    quarter, rest = divmod(of_century, 4)
    weekday = (32 + 2 * left + 2 * quarter - epact - rest) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=200)
def holidays(year: int) -> dict[date, Text]:
    """In their order. Two on one day (the Ascension on a 1st or 8th of May) are one, under the moving one's name."""
    found = {date(year, month, day): name for (month, day), name in _FIXED.items()}
    found |= {easter(year) + timedelta(days): name for days, name in _AFTER_EASTER.items()}
    return dict(sorted(found.items()))


def is_worked(day: date) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year)


def worked_days(first: date, last: date) -> int:
    """Working days after `first` and up to `last`, which is the later one."""
    weeks, rest = divmod((last - first).days, 7)
    count = weeks * 5 + sum((last - timedelta(days)).weekday() < 5 for days in range(rest))
    for year in range(first.year, last.year + 1):
        count -= sum(first < day <= last and day.weekday() < 5 for day in holidays(year))
    return count
