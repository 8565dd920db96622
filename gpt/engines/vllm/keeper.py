"""``python keeper.py GRACE COMMAND…``: runs a server, and nothing of it outlives the one who asked for it.

Standard library only. Standard input is a pipe from the parent: when it closes, because the parent wants the end or
because it died in any way, the server is asked to stop, then everything it started is killed. (The kernel's own
parent-death signal is no use to the parent: it follows the thread that started the process, which is short-lived.)
GRACE is how long, in seconds, the server has to stop by itself.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE = "800"  # the system in need of memory takes the server rather than the service that can replace it


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _with_keeper() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM):  # by the keeper, which a new program would inherit
        signal.signal(ignored, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # the keeper's only thread at this time is its main one


def _parents() -> dict[int, int]:
    """Each process's parent."""
    parents = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return parents


def _descendants() -> list[int]:
    """Every process that comes from this one; orphans come back to it, as it is their reaper."""
    try:
        parents = _parents()
    except OSError:
        return []
    mine, found = {os.getpid()}, True
    while found:
        new = {pid for pid, parent in parents.items() if parent in mine} - mine
        found = bool(new)
        mine |= new
    return sorted(mine - {os.getpid()})


def _sweep() -> None:
    """Kill whatever is left."""
    for _round in range(20):
        left = _descendants()
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.05)


def _end_with_pipe(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """Wait for the pipe to close, then end the server."""
    while os.read(0, 4096):
        pass
    child.terminate()
    time.sleep(grace)
    child.kill()


def main(grace: float, command: list[str]) -> int:
    """Run `command`; its exit status, or 128 and the signal that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides: the pipe's end is the server's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(_OOM_SCORE)
    except OSError:
        pass
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_with_keeper)
    threading.Thread(target=_end_with_pipe, args=(child, grace), daemon=True).start()
    code = child.wait()
    _sweep()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
