"""Prometheus metrics: requests, latency and what is in flight, summed over a service's worker processes."""

from __future__ import annotations

import os
import time
from functools import lru_cache

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

REQUESTS = Counter("frigo_http_requests_total", "HTTP requests answered", ["service", "method", "route", "status"])
LATENCY = Histogram(
    "frigo_http_request_seconds",
    "Seconds to the answer's headers",
    ["service", "route"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
IN_FLIGHT = Gauge("frigo_http_in_flight", "Requests being served", ["service"], multiprocess_mode="livesum")


_requests = lru_cache(1024)(REQUESTS.labels)  # finding a counter by its labels costs more than counting
_latency = lru_cache(1024)(LATENCY.labels)
_in_flight = lru_cache(16)(IN_FLIGHT.labels)


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "unmatched"


def entered(service: str) -> None:
    """A request has come."""
    _in_flight(service).inc()


def answered(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Its answer begins."""
    method = method if method in _METHODS else "OTHER"  # a caller may make methods up, and each would be kept
    _requests(service, method, route, status).inc()
    _latency(service, route).observe(seconds)


def left(service: str) -> None:
    """It is over."""
    _in_flight(service).dec()


def install(app: Flask, service: str) -> None:
    """Count every request of `app` and serve ``/metrics``."""

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()
        entered(service)

    @app.after_request
    def _count(response: Response) -> Response:
        now = time.perf_counter()
        answered(service, request.method, _route(), response.status_code, now - g.get("started", now))
        return response

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        if "started" in g:
            left(service)

    @app.get("/metrics")
    def metrics() -> Response:
        registry = REGISTRY
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
