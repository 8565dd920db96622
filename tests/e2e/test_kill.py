"""A kill -9 in the middle of a meeting loses nothing: the next worker goes on from the steps that were done."""

import time
from typing import Any

import urllib3

from tests.e2e.stack import Stack
from tests.e2e.test_stack import beginning, finished

http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=False)


def begun(stack: Stack) -> str:
    """A meeting of four turns of the sample, whose diagram has all of its steps."""
    fields = {"file": ("reunion.wav", beginning(35.8), "audio/wav"), "language": "en"}
    answer = http.request("POST", f"{stack.app_url}/api/meetings", fields=fields)
    assert answer.status == 202, answer.data
    return str(answer.json()["id"])


def steps(stack: Stack, meeting_id: str) -> dict[str, dict[str, Any]]:
    meeting = http.request("GET", f"{stack.app_url}/api/meetings/{meeting_id}").json()
    return {step["name"]: step for step in meeting["steps"]}


def wait_until_busy(stack: Stack, meeting_id: str) -> None:
    """Until diarize is done and asr, which is slower, is not."""
    deadline = time.monotonic() + 120
    while True:
        now = steps(stack, meeting_id)
        if now["diarize"]["state"] == "done":
            assert now["asr"]["state"] == "running", "the test came too late to interrupt anything"
            return
        assert time.monotonic() < deadline, now
        time.sleep(0.05)


def test_a_meeting_outlives_its_worker(stack: Stack) -> None:
    meeting_id = begun(stack)
    wait_until_busy(stack, meeting_id)
    stack.kill("worker")
    before = steps(stack, meeting_id)
    assert before["minutes"]["state"] != "done"
    stack.restart("worker")
    meeting = finished(stack, meeting_id)
    assert meeting["state"] == "done", meeting.get("error")
    after = {step["name"]: step for step in meeting["steps"]}
    assert after["diarize"]["seconds"] == before["diarize"]["seconds"], "a step that was done was done again"
    assert meeting["diagram"]["valid"] is True


def test_a_meeting_waits_for_a_service_that_died(stack: Stack) -> None:
    meeting_id = begun(stack)
    wait_until_busy(stack, meeting_id)
    stack.kill("asr")
    time.sleep(1)
    stack.restart("asr")
    meeting = finished(stack, meeting_id)
    assert meeting["state"] == "done", meeting.get("error")
    assert len({segment["speaker"] for segment in meeting["segments"]}) == 2
