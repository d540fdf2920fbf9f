from __future__ import annotations

import asyncio
import logging
import re
import time

import httpx
import pytest
from fastapi import FastAPI, Request

from infra.serving import problems
from infra.serving.context import RequestShell, context, trace_onwards
from infra.serving.metrics import Metrics
from infra.serving.settings import Settings
from tests.asgi import AppClient

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def client(**settings: object) -> AppClient:
    app = FastAPI()
    metrics = Metrics()
    problems.install(app)
    app.add_middleware(RequestShell, settings=Settings(_env_file=None, **settings), metrics=metrics)

    @app.get("/told")
    async def told(request: Request) -> dict[str, str]:
        with context(request).timing.step("infer"):
            time.sleep(0.01)
        return context(request).headers()

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret detail")

    @app.get("/metrics")
    async def read_metrics() -> str:
        return metrics.text().decode()

    return AppClient(app)


def test_a_request_id_is_echoed_and_passed_on():
    answer = client().get("/told", headers={"X-Request-ID": "order-4711/retry:2"})
    assert answer.headers["x-request-id"] == answer.json()["x-request-id"] == "order-4711/retry:2"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "a\tb", "naïve".encode("latin-1")])
def test_a_missing_or_malformed_request_id_is_replaced(given: str | bytes | None):
    headers = {} if given is None else {"X-Request-ID": given}
    made = [client().get("/told", headers=headers).headers["x-request-id"] for _ in range(2)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in made) and made[0] != made[1]


def test_the_trace_goes_on_with_a_span_of_our_own():
    passed = client().get("/told", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}).json()["traceparent"]
    version, trace, span, flags = passed.split("-")
    assert (version, trace, flags) == ("00", TRACE, "01") and span != SPAN and len(span) == 16


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known():
    assert trace_onwards(f"cc-{TRACE}-{SPAN}-01-what-comes-then").startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
    ],
)
def test_a_trace_that_is_none_begins_anew(header: str | None):
    made = trace_onwards(header)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", made) and TRACE not in made


def test_the_deadline_is_passed_on_less_what_was_spent():
    left = int(client().get("/told", headers={"X-Deadline-Ms": "5000"}).json()["x-deadline-ms"])
    assert 4000 < left <= 4990


def test_a_wrong_deadline_is_answered_with_id_and_problem():
    answer = client().get("/told", headers={"X-Deadline-Ms": "soon", "X-Request-ID": "abc"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.headers["x-request-id"] == "abc"


def test_server_timing_names_the_steps():
    assert re.fullmatch(r"infer;dur=\d+\.\d", client().get("/told").headers["server-timing"])


def test_an_error_that_nobody_caught_is_internal_and_keeps_its_secrets(caplog: pytest.LogCaptureFixture):
    answer = client().get("/broken", headers={"X-Request-ID": "abc"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text and "Traceback" not in answer.text
    assert answer.headers["x-request-id"] == "abc"
    assert "secret detail" in caplog.text and "abc" in caplog.text


def test_a_body_over_the_limit_is_refused_by_its_length():
    answer = client(max_upload_mb=16).request("GET", "/told", headers={"Content-Length": str(17 * 2**20)})
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")
    assert "16 MiB" in answer.json()["detail"]


def test_more_requests_at_once_than_memory_is_meant_for_are_told_to_come_again():
    app, gate = FastAPI(), asyncio.Event()
    app.add_middleware(RequestShell, settings=Settings(_env_file=None, queue=2), metrics=Metrics())

    @app.post("/slow")
    async def slow() -> None:
        await gate.wait()

    async def story() -> tuple[list[httpx.Response], httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
            asked = [asyncio.create_task(http.post("/slow")) for _ in range(5)]
            (first,), _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            gate.set()
            return [first.result(), *await asyncio.gather(*(each for each in asked if each is not first))], (
                await http.post("/slow")
            )

    (refused, *answered), after = asyncio.run(story())
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1" and refused.headers["x-request-id"]
    assert [answer.status_code for answer in (*answered, after)] == [200] * 5


def test_every_answer_is_counted_by_route_and_status():
    app = client()
    app.get("/told")
    app.get("/broken")
    app.get("/nowhere/4711")
    counted = app.get("/metrics").json()
    assert 'everywear_requests_total{route="/told",status="200"} 1.0' in counted
    assert 'everywear_requests_total{route="/broken",status="500"} 1.0' in counted
    # Paths of strangers make no series of their own.
    assert 'everywear_requests_total{route="unmatched",status="404"} 1.0' in counted
    assert 'everywear_step_seconds_count{step="infer"} 1.0' in counted


def test_the_log_has_one_line_a_request_and_no_line_break_from_outside(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "everywear"):
        client().get("/nowhere%0AINFO forged")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "everywear"]
    assert "\n" not in line and " 404 " in line
