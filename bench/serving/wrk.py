"""wrk, the load generator (apt install wrk): one thread, as many connections as wanted, each in a closed loop."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = """
wrk.method = "POST"
wrk.body = {body}
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('\\nRESULT {{"answers": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}}\\n',
    summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Run:
    """What wrk saw. An answer is whole once its last byte has come, so that p50 and p99 are those of whole answers."""

    answers: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


def wrk(url: str, body: Mapping[str, Any], headers: Mapping[str, str], *, connections: int, seconds: int) -> Run:
    """POST `body` to `url` over and over for `seconds`."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is needed: apt install wrk")
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    with tempfile.TemporaryDirectory(prefix="frigo-bench-") as folder:
        script = Path(folder) / "post.lua"
        text = _SCRIPT.format(body=json.dumps(json.dumps(body)), headers="\n".join(lines))
        script.write_text(text, encoding="utf-8")
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=60s", "-s", str(script)]
        done = subprocess.run([program, *options, url], check=True, capture_output=True, text=True)
    return Run(**json.loads(done.stdout.rpartition("RESULT ")[2]))
