"""gunicorn settings of the five services: ``gunicorn -c python:common.web.gunicorn_conf <service>.wsgi:app``.

app and chat are gateways: several processes of greenlets. A service that holds a model is one process with threads.
PORT, HOST_BIND_ADDRESS and WEB_CONCURRENCY (workers of app and chat) come from the environment.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from common.web.stopping import watch_for_stop

DEFAULT_PORTS = {"app": 5000, "chat": 5001, "gpt": 5002, "asr": 5003, "diarize": 5004}


def _number(name: str, default: int, most: int) -> int:
    """A variable between 1 and `most`; a wrong one ends gunicorn with one sentence and common.settings' status."""
    value = os.environ.get(name) or str(default)
    if value.isascii() and value.isdecimal() and 1 <= int(value) <= most:
        return int(value)
    sys.stderr.write(f"Configuration refusée — {name} : un nombre entier de 1 à {most} est attendu.\n")
    sys.exit(4)


service = sys.argv[-1].partition(".")[0]
_gateway = service in {"app", "chat"}

_port = _number("PORT", DEFAULT_PORTS.get(service, 5000), 65535)
bind = f"{os.environ.get('HOST_BIND_ADDRESS') or '127.0.0.1'}:{_port}"
worker_class = "common.web.worker.GatewayWorker" if _gateway else "gthread"
workers = _number("WEB_CONCURRENCY", 2, 1024) if _gateway else 1
threads = 1 if _gateway else 256  # a stream or a place in the queue holds one, and /health must get through
worker_connections = 500
timeout = 120  # of a worker that no longer beats, not of a request
graceful_timeout = 6
keepalive = 30
accesslog = None  # common.web.factory logs each request, in JSON
errorlog = "-"
loglevel = "warning"
proc_name = f"frigo-{service}"
control_socket_disable = True  # nobody uses it, and one path in the home folder would be shared by the five
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

_own_metrics: str | None = None
if workers > 1 and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    _own_metrics = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=f"frigo-{service}-metrics-")


def post_worker_init(_worker: Any) -> None:
    """What still runs shortly before the end of a stop is ended with a reason."""
    watch_for_stop(graceful_timeout)


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that is gone."""
    from prometheus_client import multiprocess  # when it is imported, it looks whether there is a folder to share

    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        for stale in Path(folder).glob(f"gauge_live*_{worker.pid}.db"):
            stale.unlink(missing_ok=True)


def on_exit(_server: Any) -> None:
    """Leave nothing behind."""
    if _own_metrics is not None:
        shutil.rmtree(_own_metrics, ignore_errors=True)
