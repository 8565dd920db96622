"""A model in a process of its own: calls, streams, death and memory."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.errors import ApiError
from common.messages import Text
from common.process.child import Child

MODULE = "tests.common.child_program"
ROOT = Path(__file__).resolve().parents[2]


def start(**spec: Any) -> Child:
    return Child(MODULE, spec, {"SEEN": "yes"})


@pytest.fixture
def child() -> Iterator[Child]:
    one = start()
    yield one
    one.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def last(item: object) -> bool:
    return item is None or isinstance(item, Exception)


def read(out: queue.SimpleQueue[Any]) -> list[Any]:
    items = [out.get(timeout=60)]
    while not last(items[-1]):
        items.append(out.get(timeout=60))
    return items


def test_facts_environment_and_calls(child: Child) -> None:
    assert child.facts["pid"] == child.pid
    assert child.facts["seen"] == "yes"
    assert child.call("echo", {"été": [1, 2]}) == {"été": [1, 2]}


def test_the_system_short_of_memory_takes_the_child_first(child: Child) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    assert child.facts["oom"] > own or own == 1000  # the first to go already, as in some containers


def test_streams_run_side_by_side_and_keep_their_order(child: Child) -> None:
    outs = [queue.SimpleQueue[Any]() for _ in range(8)]
    for out in outs:
        child.stream("count", (200,), out.put, last)
    assert [read(out) for out in outs] == [[*range(200), None]] * 8


def test_a_cancelled_stream_ends_in_the_child(child: Child) -> None:
    out: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancel = child.stream("count", (None,), out.put, last)
    out.get(timeout=60)
    assert child.call("running") == 1
    cancel()
    cancel()
    until(lambda: child.call("running") == 0)


def test_an_unforeseen_error_is_told_without_its_text(child: Child) -> None:
    with pytest.raises(ApiError) as caught:
        child.call("fail")
    assert caught.value.status == 500
    assert "ZeroDivisionError" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_refusal_to_load_arrives_whole_and_leaves_no_process() -> None:
    with pytest.raises(ApiError) as caught:
        start(refuse=True)
    error = caught.value
    assert (error.status, error.code, error.param) == (422, "model_unusable", "model")
    assert isinstance(error.message, Text)
    assert error.message.params == {"name": "a"}
    until(lambda: not [p for p in psutil.Process().children() if MODULE in " ".join(p.cmdline())])


def test_a_bug_while_loading_is_told_in_general_terms() -> None:
    with pytest.raises(ApiError) as caught:
        start(bug=True)
    assert caught.value.status == 500
    assert "secret" not in str(caught.value)


def test_a_child_killed_while_loading_is_507_that_speaks_of_memory() -> None:
    with pytest.raises(ApiError) as caught:
        start(die=True)
    assert (caught.value.status, caught.value.code) == (507, "engine_died")
    assert "mémoire" in str(caught.value.message)


def test_death_reaches_streams_calls_and_watchers(child: Child) -> None:
    out: queue.SimpleQueue[Any] = queue.SimpleQueue()
    told: queue.SimpleQueue[Text] = queue.SimpleQueue()
    child.watch(told.put)
    child.stream("count", (None,), out.put, last)
    with pytest.raises(ApiError) as caught:
        child.call("die", signal.SIGKILL)
    assert (caught.value.status, caught.value.code) == (503, "engine_died")
    assert isinstance(read(out)[-1], ApiError)
    assert "mémoire" in str(told.get(timeout=60))
    with pytest.raises(ApiError, match="engine_died"):
        child.call("echo", 1)
    late: queue.SimpleQueue[Text] = queue.SimpleQueue()
    child.watch(late.put)
    assert "mémoire" in str(late.get(timeout=60))


def test_a_crash_names_its_signal(child: Child) -> None:
    with pytest.raises(ApiError, match="SIGSEGV"):
        child.call("die", signal.SIGSEGV)


def test_a_thread_that_ends_on_a_bug_ends_the_child(child: Child) -> None:
    told: queue.SimpleQueue[Text] = queue.SimpleQueue()
    child.watch(told.put)
    with contextlib.suppress(ApiError):
        child.call("crash_a_thread")
    assert "code 1" in str(told.get(timeout=60))


def test_close_is_not_a_death_and_gives_memory_back(child: Child) -> None:
    told: list[Text] = []
    child.watch(told.append)
    before = child.memory_bytes()
    child.call("fill", 50_000_000)
    assert child.memory_bytes() - before > 45_000_000
    process = psutil.Process(child.pid)
    child.close()
    assert not process.is_running()
    assert child.memory_bytes() == 0
    assert not told


def test_a_call_that_hangs_is_left_after_its_time(child: Child) -> None:
    with pytest.raises(ApiError) as caught:
        child.call("hang", seconds=0.05)
    assert caught.value.code == "engine_stuck"
    assert child.call("echo", 1) == 1
    child.kill()  # closing politely would wait for what hangs


def test_the_child_does_not_outlive_its_parent() -> None:
    code = (
        "from common.process.child import Child; import os, signal\n"
        f"c = Child({MODULE!r}, {{}}, {{}}); print(c.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_the_terminals_interrupt_is_the_parents_affair(child: Child) -> None:
    psutil.Process(child.pid).send_signal(signal.SIGINT)
    psutil.Process(child.pid).send_signal(signal.SIGTERM)
    assert child.call("echo", 2) == 2
