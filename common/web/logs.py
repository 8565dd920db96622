"""Logs: one JSON line per event, on stdout and, with LOG_DIR, in a rotating file. Never a body, never a secret."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from common.web.context import request_id

FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5
_NOISY = ("urllib3", "werkzeug", "httpx", "httpx2", "filelock", "huggingface_hub", "alembic.runtime", "huey")


class _RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if current := request_id.get():
            record.request_id = current
        return True


def configure(service: str, level: str = "INFO", log_dir: Path | None = None) -> None:
    """Send every logger's records to stdout, and to ``LOG_DIR/<service>.log`` (shared by the service's workers)."""
    formatter = JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        static_fields={"service": service},
        json_ensure_ascii=False,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if log_dir is not None:
        from concurrent_log_handler import ConcurrentRotatingFileHandler  # heavy: it brings Redis's client along

        log_dir.mkdir(parents=True, exist_ok=True)
        handlers.append(
            ConcurrentRotatingFileHandler(
                str(log_dir / f"{service}.log"), maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
            )
        )
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_RequestId())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
