"""Prometheus metrics of one service."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from infra.serving.timing import Timing

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """A registry of its own for each app, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("everywear_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self._seconds = Histogram(
            "everywear_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self._steps = Histogram(
            "everywear_step_seconds", "Time by step", ["step"], buckets=_SECONDS, registry=self.registry
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(f"everywear_{name}", text, registry=self.registry).set_function(value)

    def count(self, route: str, status: int, seconds: float, timing: Timing) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        for step, spent in timing.steps.items():
            self._steps.labels(step).observe(spent)

    def text(self) -> bytes:
        return generate_latest(self.registry)
