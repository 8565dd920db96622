"""supervisor's configuration, and what its journal says happened."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.environment import ROOT
from scripts.stack import STOP_SECONDS, Process

LOG_BYTES = "10MB"
LOGS_KEPT = 3


def configuration(processes: Iterable[Process], folder: Path, logs: Path) -> str:
    """supervisord in the foreground, no socket, every process restarted when it dies.

    Secrets are not written here: they pass through the environment.
    """
    processes = list(processes)
    parts = [
        "[supervisord]",
        "nodaemon=true",
        f"directory={_escaped(ROOT)}",
        f"logfile={_escaped(logs / 'supervisor.log')}",
        "logfile_maxbytes=0",
        "loglevel=info",
        f"pidfile={_escaped(folder / 'supervisord.pid')}",
        f"childlogdir={_escaped(logs)}",
        "nocleanup=true",
        "",
    ]
    for process in processes:
        parts += [
            f"[program:{process.name}]",
            f"command={' '.join(_quoted(word) for word in process.command)}",
            f"environment={_environment(process.env)}",
            "autostart=true",
            "autorestart=true",
            "startsecs=2",
            "startretries=8",
            "stopsignal=TERM",
            f"stopwaitsecs={STOP_SECONDS}",
            "stopasgroup=true",
            "killasgroup=true",
            f"stdout_logfile={_escaped(_escaped(logs / f'{process.name}.log'))}",  # this one is expanded twice
            f"stdout_logfile_maxbytes={LOG_BYTES}",
            f"stdout_logfile_backups={LOGS_KEPT}",
            "redirect_stderr=true",
            "",
        ]
    # One group: supervisor stops the members of a group together, and groups one after the other.
    parts += ["[group:frigo]", f"programs={','.join(process.name for process in processes)}", ""]
    return "\n".join(parts)


def _escaped(value: object) -> str:
    """supervisor expands %(…)s in its values."""
    return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command, which supervisor splits as a shell does; its INI files end at « ; »."""
    return _escaped(shlex.quote(word))


def _environment(variables: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.replace("%", "%%")}"' for name, value in variables.items())


@dataclass(frozen=True)
class Happening:
    """One line of supervisor's journal: `kind` is spawned, up, exited or gave_up."""

    kind: str
    name: str
    pid: int | None = None
    why: str = ""


_LINES = {
    "spawned": re.compile(r"INFO spawned: '(?P<name>\w+)' with pid (?P<pid>\d+)"),
    "up": re.compile(r"INFO success: (?P<name>\w+) entered RUNNING"),
    "exited": re.compile(r"(?:INFO|WARN) exited: (?P<name>\w+) \((?P<why>[^;]*);"),
    "gave_up": re.compile(r"INFO gave up: (?P<name>\w+) entered FATAL"),
}


def understand(line: str) -> Happening | None:
    """What a line of the journal says about one process; None when it is about something else."""
    for kind, pattern in _LINES.items():
        if found := pattern.search(line):
            groups = found.groupdict()
            pid = int(groups["pid"]) if groups.get("pid") else None
            return Happening(kind, groups["name"], pid, groups.get("why") or "")
    return None
