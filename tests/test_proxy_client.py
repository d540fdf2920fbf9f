from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from infra.preprocess.masking.client import MaskingClient
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.serving import arrays
from infra.serving.context import Context
from infra.serving.deadlines import Deadline
from infra.serving.problems import CODES, MEDIA_TYPE, Problem

PICTURE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
MASK = Mask(np.full((4, 5), 200, np.uint8))


def ask(answer: Callable[[httpx.Request], httpx.Response], seconds: float = 10) -> tuple[Mask, Context, MaskingClient]:
    """One call of a masking service that answers so."""
    told = Context("id-1", "00-trace", Deadline(time.monotonic() + seconds))

    async def call() -> tuple[Mask, Context, MaskingClient]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            client = MaskingClient(http, "http://masking:8001")
            return await client(MaskInput(PICTURE), told), told, client

    return asyncio.run(call())


def problem(code: str, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    body = {"code": code, "detail": "because"}
    return lambda request: httpx.Response(
        CODES[code][0], content=json.dumps(body), headers={"content-type": MEDIA_TYPE, **headers}
    )


def failure(answer: Callable[[httpx.Request], httpx.Response], seconds: float = 10) -> Problem:
    with pytest.raises(Problem) as raised:
        ask(answer, seconds)
    return raised.value


def test_a_call_is_a_record_there_and_a_record_back():
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=arrays.encode(MASK), headers={"server-timing": "infer;dur=40.0"})

    got, told, client = ask(answer)
    np.testing.assert_array_equal(got.alpha, MASK.alpha)
    (request,) = seen
    assert str(request.url) == "http://masking:8001/v1/mask"
    assert request.headers["content-type"] == request.headers["accept"] == arrays.NPZ
    assert request.headers["x-request-id"] == "id-1" and int(request.headers["x-deadline-ms"]) > 9000
    np.testing.assert_array_equal(arrays.decode(MaskInput, request.content).picture, PICTURE)
    assert client.latency is not None and client.latency > 0
    ((begin, end),) = told.timing.spans
    assert end - begin == pytest.approx(0.040)


@pytest.mark.parametrize("code", ["no_person", "no_garment", "overloaded", "engine_unavailable", "deadline_exceeded"])
def test_what_is_said_of_the_request_or_the_load_is_passed_on(code: str):
    said = failure(problem(code, **{"retry-after": "4"}))
    assert (said.code, said.detail, said.extra["service"], said.retry_after) == (code, "because", "masking", 4)


@pytest.mark.parametrize("code", ["internal", "invalid_request", "not_found", "upstream_failed"])
def test_what_only_the_proxy_can_be_blamed_for_is_upstream_failed(code: str):
    said = failure(problem(code))
    assert said.code == "upstream_failed" and said.extra["service"] == "masking" and "because" in said.detail


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="<html>nginx</html>"),
        httpx.Response(502, json=["not", "a", "problem"]),
        httpx.Response(503, json={"code": "unheard_of", "detail": "x"}),
        httpx.Response(400, content=b"\xff\xfe"),
        httpx.Response(200, text="not arrays"),
        httpx.Response(200, content=arrays.encode(MaskInput(PICTURE))),
    ],
)
def test_an_answer_that_makes_no_sense_is_upstream_failed(answer: httpx.Response):
    said = failure(lambda request: answer)
    assert said.code == "upstream_failed" and "masking" in said.detail


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.RemoteProtocolError]
)
def test_a_broken_connection_is_upstream_failed(error: type[httpx.HTTPError]):
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("secret address")

    said = failure(answer)
    assert said.code == "upstream_failed" and "masking" in said.detail and "secret" not in said.detail


def test_a_deadline_that_passes_while_connecting_is_not_the_service_s_fault():
    def answer(request: httpx.Request) -> httpx.Response:
        time.sleep(0.03)
        raise httpx.ConnectTimeout("")

    assert failure(answer, seconds=0.02).code == "deadline_exceeded"


def test_too_late_is_deadline_exceeded():
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    assert failure(answer).code == "deadline_exceeded"
    assert failure(problem("internal"), seconds=-1).code == "deadline_exceeded"
