"""Gantt charts: what is done when. Without a date in the text, days are counted from the first one."""

import re
from datetime import date
from typing import Literal

from pydantic import Field

from chat.diagrams.escape import plain
from chat.diagrams.graph import Direction
from chat.diagrams.kinds.base import kind_of, known, numbered
from chat.diagrams.labels import Drawing, GraphError, Id, Item, Label

DAY_ONE = date(2001, 1, 1)  # shown as day 1: no date that the text does not give is ever shown
MARKS = {"task": "", "done": "done, ", "active": "active, ", "critical": "crit, ", "milestone": "milestone, "}
_STATEMENT = re.compile(
    r"(title|section|dateformat|axisformat|tickinterval|includes|excludes|todaymarker|weekday|weekend|inclusiveenddates|"
    r"topaxis|acctitle|accdescr|click|href|call|gantt)|\d",
    re.I,
)


class Task(Item):
    id: Id
    label: Label
    start: date | None = None
    after: Id | None = None
    days: int = Field(default=1, ge=0, le=3650)
    kind: Literal["task", "done", "active", "critical", "milestone"] = "task"


class Section(Item):
    label: Label
    tasks: list[Task] = Field(min_length=1, max_length=60)


class Gantt(Drawing):
    title: Label | None = None
    sections: list[Section] = Field(min_length=1, max_length=30)

    def check(self) -> None:
        tasks = self._tasks()
        ids = numbered((task.id for task in tasks), "t")
        known((task.after for task in tasks if task.after), ids)
        seen: set[str] = set()
        for task in tasks:
            if task.after and task.after not in seen:
                raise GraphError(f'The task "{task.id}" is after "{task.after}", which must be written before it.')
            seen.add(task.id)

    def _tasks(self) -> list[Task]:
        return [task for section in self.sections for task in section.tasks]

    def first_day(self) -> date | None:
        """The earliest date that is given."""
        return min((task.start for task in self._tasks() if task.start), default=None)


def serialize(drawing: Gantt, _direction: Direction | None = None) -> str:
    first = drawing.first_day()
    ids = numbered((task.id for section in drawing.sections for task in section.tasks), "t")
    lines = ["gantt"]
    if drawing.title:
        lines.append(f"    title {plain(drawing.title, lines=' ')}")
    lines.append("    dateFormat YYYY-MM-DD")
    if first is None:
        lines += ["    axisFormat J%-j", "    todayMarker off"]
    last = ""
    for section in drawing.sections:
        lines.append(f"    section {plain(section.label)}")
        for task in section.tasks:
            lines.append(f"    {_task(task, ids, last, first or DAY_ONE)}")
            last = ids[task.id]
    return "\n".join(lines) + "\n"


def _task(task: Task, ids: dict[str, str], last: str, first: date) -> str:
    """A task begins on its date, else after another, else after the one before it, else on the first day."""
    if task.start:
        begins = task.start.isoformat()
    elif task.after or last:
        begins = f"after {ids[task.after] if task.after else last}"
    else:
        begins = first.isoformat()
    label = plain(task.label, keywords=_STATEMENT, lines=" ")
    return f"{label} :{MARKS[task.kind]}{ids[task.id]}, {begins}, {task.days}d"


KIND = kind_of(
    "gantt",
    Gantt,
    serialize,
    title={"fr": "diagramme de Gantt", "en": "Gantt chart"},
    shape='{"title":"…","sections":[{"label":"…","tasks":[{"id":"t1","label":"…","start":"2026-01-31","days":5,'
    '"after":"t2","kind":"task|done|active|critical|milestone"}]}]}',
    rules={
        "fr": "- sections : les phases ou les équipes ; une seule si le texte n'en donne pas.\n- start : la date de "
        "début, seulement si le texte la donne ; after : la tâche, écrite plus haut, qu'il faut avoir finie avant ; "
        "sinon la tâche suit la précédente.\n- days : sa durée en jours, 1 si le texte ne la dit pas.\n- kind : "
        "milestone pour un jalon, done pour ce qui est fait, critical pour ce que le texte dit critique, sinon task.",
        "en": "- sections: phases or teams; a single one if the text gives none.\n- start: the date it begins, only if "
        "the text gives it; after: the task, written above, that must be finished before; otherwise the task follows "
        "the one before it.\n- days: how many days it lasts, 1 if the text does not say.\n- kind: milestone, done for "
        "what is done, critical for what the text says is critical, otherwise task.",
    },
)
