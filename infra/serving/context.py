"""What surrounds every request: its id, trace, deadline and timing; counting, logging and the last resort."""

from __future__ import annotations

import logging
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.serving.deadlines import HEADER as DEADLINE
from infra.serving.deadlines import Deadline
from infra.serving.metrics import Metrics
from infra.serving.presence import ClientGone, while_connected
from infra.serving.problems import Problem
from infra.serving.settings import Settings
from infra.serving.timing import Timing

log = logging.getLogger("everywear")

AT_WORK = 2  # requests with a body that a service takes at once, for every one that may wait for its engine
CLIENT_GONE = 499  # what the log and the metrics say of a request whose client went away; nobody is answered

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")  # W3C Trace Context 1


@dataclass
class Context:
    request_id: str
    traceparent: str
    deadline: Deadline
    timing: Timing = field(default_factory=Timing)

    def headers(self) -> dict[str, str]:
        """What the next service is told."""
        return {"x-request-id": self.request_id, "traceparent": self.traceparent, **self.deadline.header()}


def context(request: Request) -> Context:
    return request.scope["everywear.context"]


def trace_onwards(header: str | None) -> str:
    """The caller's trace with a span of our own, or a new trace where the header holds none."""
    found = _TRACEPARENT.fullmatch(header or "")
    if found and found[1] != "ff" and set(found[2]) != {"0"} and set(found[3]) != {"0"}:
        trace, flags = found[2], found[4]
    else:
        trace, flags = secrets.token_hex(16), "00"
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


class RequestShell:
    """ASGI middleware: makes the `Context`, answers with `X-Request-ID` and `Server-Timing`, counts, logs one line.

    Nothing of a request's content is logged, and an error that nobody caught becomes a problem `internal`.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begin, status, started = time.perf_counter(), 500, False
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        timing = Timing()

        async def send_with_headers(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = request_id
                if timing.steps:
                    answer.append("Server-Timing", timing.header())
            await send(message)

        try:
            deadline = Deadline.of(headers.get(DEADLINE), self._settings.deadline_ms)
            trace = trace_onwards(headers.get("traceparent"))
            scope["everywear.context"] = Context(request_id, trace, deadline, timing)
            _refuse_large(headers.get("content-length"), self._settings.max_body_bytes)
            if scope["method"] == "POST":
                with self._place():
                    await while_connected(self._app, scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except ClientGone:
            status = CLIENT_GONE
        except Exception as error:
            if not isinstance(error, Problem):
                log.exception("request %s failed", request_id)
                error = Problem("internal", "The service failed on this request; its log has the details")
            if not started:
                await error.response()(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            seconds = time.perf_counter() - begin
            self._metrics.count(route, status, seconds, timing)
            quiet = route in ("/healthz", "/readyz", "/metrics", "/v1/info")
            path = scope["path"].encode("unicode_escape").decode()[:200]
            log.log(
                logging.DEBUG if quiet else logging.INFO,
                "%s %s %d %.0f ms %s", scope["method"], path, status, 1000 * seconds, request_id,
            )  # fmt: skip


    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the requests whose body and pictures are in memory at the same time. Raises Problem("overloaded")."""
        most = AT_WORK * self._settings.queue
        if self._at_work >= most:
            raise Problem("overloaded", f"{most} requests are at work already", retry_after=1)
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1


def _refuse_large(content_length: str | None, limit: int) -> None:
    if content_length and content_length.isdigit() and int(content_length) > limit:
        raise too_large(limit)


def too_large(limit: int) -> Problem:
    return Problem("image_too_large", f"The request body may hold at most {limit / 2**20:.0f} MiB")
