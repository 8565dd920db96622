"""The tool `date`: days, sums, differences, calendars, holidays."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chat.tools.dates.holidays import easter, is_worked, worked_days
from chat.tools.dates.tool import make_date_tool
from chat.tools.tool import Call, ToolError

NOW = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
TOOL = make_date_tool(lambda: NOW)


def said(**arguments: Any) -> str:
    return TOOL(json.dumps(arguments), Call())


@pytest.mark.parametrize(
    ("zone", "day", "time"),
    [
        ("Europe/Paris", "dimanche 22 novembre 2026", "00:30"),
        ("UTC", "samedi 21 novembre 2026", "23:30"),
        ("Pacific/Auckland", "dimanche 22 novembre 2026", "12:30"),
    ],
)
def test_today_depends_on_where(zone: str, day: str, time: str) -> None:
    answer = said(fuseau=zone)
    assert answer.startswith(day)
    assert f"il est {time}" in answer


@pytest.mark.parametrize(
    ("arguments", "day"),
    [
        ({"date": "2024-01-31", "mois": 1}, "2024-02-29"),
        ({"date": "2024-02-29", "annees": 1}, "2025-02-28"),
        ({"date": "31/12/2026", "jours": 1}, "2027-01-01"),
        ({"date": "2026-03-01", "jours": -1}, "2026-02-28"),
        ({"date": "2026-12-24", "jours_ouvres": 2}, "2026-12-29"),
        ({"date": "2026-12-28", "jours_ouvres": -1}, "2026-12-24"),
        ({"date": "demain", "semaines": 2}, "2026-12-07"),
    ],
)
def test_sums(arguments: dict[str, Any], day: str) -> None:
    assert f"({day})" in said(operation="ajouter", **arguments)


def test_a_day_is_told_with_its_week_and_its_holiday() -> None:
    assert said(date="2026-05-25") == (
        "lundi 25 mai 2026 (2026-05-25), semaine ISO 22 de 2026, jour 145 de l'année, "
        "férié en France : lundi de Pentecôte\nil y a 181 jour(s)"
    )
    assert "semaine ISO 53 de 2026" in said(date="2027-01-01")


def test_differences() -> None:
    answer = said(operation="difference", date="1789-07-14", fin="2026-11-21")
    assert "86692 jours" in answer
    assert "237 ans, 4 mois et 7 jours" in answer
    assert ": -86692 jours" in said(operation="difference", date="2026-11-21", fin="1789-07-14")


def test_a_month_as_a_calendar() -> None:
    lines = said(operation="calendrier", date="2026-05-12").splitlines()
    assert lines[:3] == ["mai 2026", "S  lu ma me je ve sa di", "18              1  2  3"]
    assert lines[-1] == "25 : lundi de Pentecôte"


def test_the_holidays_of_a_year() -> None:
    days = [line.partition("(")[2][:10] for line in said(operation="feries", date="2027-01-01").splitlines()]
    assert len(days) == 11
    assert {"2027-03-29", "2027-05-06", "2027-05-17"} <= set(days)


@pytest.mark.parametrize(
    ("year", "day"),
    [(1818, (3, 22)), (1943, (4, 25)), (2000, (4, 23)), (2024, (3, 31)), (2026, (4, 5)), (2038, (4, 25))],
)
def test_easter(year: int, day: tuple[int, int]) -> None:
    assert easter(year) == date(year, *day)


def test_working_days_are_counted_as_one_by_one() -> None:
    first = date(2024, 12, 20)
    for length in range(0, 800, 37):
        one_by_one = sum(is_worked(first + timedelta(days)) for days in range(1, length + 1))
        assert worked_days(first, first + timedelta(length)) == one_by_one


@pytest.mark.parametrize(
    "arguments",
    [
        {"fuseau": "../../etc/passwd"},
        {"fuseau": "Lune/Nord"},
        {"date": "30/02/2026"},
        {"date": "bientôt"},
        {"operation": "ajouter", "annees": 8000},
        {"operation": "ajouter", "annees": -2000},
        {"operation": "ajouter", "jours": 10**12},
        {"operation": "magie"},
        {"quand": "demain"},
    ],
)
def test_what_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        said(**arguments)
