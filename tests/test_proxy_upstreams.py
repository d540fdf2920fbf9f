"""The proxy between a client and a service that misbehaves: a stand-in for masking, on a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.calls import good_files, refused
from tests.fleet import ROOT, fleet_env, fleet_urls

Handler = Callable[[BaseHTTPRequestHandler, bytes], None]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class StandIn:
    """Answers `POST /v1/mask` as `behave` says and keeps the headers of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.behave: Handler = lambda handler, body: say(handler, 200, b"ok")
        stand_in = self

        class Served(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                stand_in.asked.append({name.lower(): value for name, value in self.headers.items()})
                stand_in.bodies.append(body)
                stand_in.behave(self, body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"content-length": str(len(body)), "content-type": "image/png"} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def hang_up(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    handler.close_connection = True
    handler.connection.close()


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


@pytest.fixture(scope="module")
def proxy(stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy alone: masking is the stand-in, nothing listens where the others should be."""
    urls = fleet_urls() | {"masking": stand_in.url}
    port = urls["proxy"].rpartition(":")[2]
    command = [sys.executable, "-m", "uvicorn", "proxy:app", "--port", port, "--no-access-log", "--log-level", "error"]
    log: Path = tmp_path_factory.mktemp("proxy") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | fleet_env(urls), stdout=out, stderr=out)
    try:
        for _ in range(300):
            try:
                httpx.get(f"{urls['proxy']}/healthz", trust_env=False)
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        yield urls["proxy"]
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(autouse=True)
def fresh(stand_in: StandIn) -> None:
    stand_in.asked.clear()
    stand_in.bodies.clear()
    stand_in.behave = lambda handler, body: say(handler, 200, b"ok")


def ask(proxy: str, http: httpx.Client, path: str = "/v1/mask", **headers: str) -> httpx.Response:
    return http.post(f"{proxy}{path}", files={"image": ("me.jpg", b"a photo")}, headers=headers)


def test_id_trace_and_what_is_left_of_the_deadline_are_passed_on(proxy: str, stand_in: StandIn, http: httpx.Client):
    given = {"X-Request-ID": "order-4711", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Deadline-Ms": "9000"}
    answer = ask(proxy, http, **given)
    (asked,) = stand_in.asked
    assert asked["x-request-id"] == answer.headers["x-request-id"] == "order-4711"
    assert asked["traceparent"].split("-")[1] == TRACE and asked["traceparent"] != given["traceparent"]
    assert 5000 < int(asked["x-deadline-ms"]) < 9000


def test_body_and_types_are_passed_on_and_nothing_else_of_the_client(proxy: str, stand_in: StandIn, http: httpx.Client):
    ask(proxy, http, Accept="application/json", Cookie="secret=1", Authorization="Bearer secret")
    (asked,), (body,) = stand_in.asked, stand_in.bodies
    assert asked["accept"] == "application/json" and asked["content-type"].startswith("multipart/form-data; boundary=")
    assert b"a photo" in body
    assert "secret" not in str(asked)


def test_the_answer_comes_back_as_it_is_with_the_service_s_own_headers(
    proxy: str, stand_in: StandIn, http: httpx.Client
):
    headers = {"X-Engine": "embedded", "Server-Timing": "infer;dur=5.0", "X-View": "back", "Set-Cookie": "a=b"}
    stand_in.behave = lambda handler, body: say(handler, 200, b"\x89PNG", **headers)
    answer = ask(proxy, http)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"\x89PNG", "image/png")
    assert answer.headers["x-engine"] == "embedded" and answer.headers["x-view"] == "back"
    assert "infer;dur=5.0" in answer.headers["server-timing"] and "masking;dur=" in answer.headers["server-timing"]
    assert "set-cookie" not in answer.headers


def test_a_problem_of_the_service_is_passed_through_unchanged(proxy: str, stand_in: StandIn, http: httpx.Client):
    problem = b'{"code": "overloaded"}'
    stand_in.behave = lambda handler, body: say(
        handler, 503, problem, **{"content-type": "application/problem+json", "retry-after": "7"}
    )
    answer = ask(proxy, http)
    assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (503, problem, "7")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_service_that_hangs_up_is_asked_once_more_and_then_named(proxy: str, stand_in: StandIn, http: httpx.Client):
    stand_in.behave = hang_up
    answer = ask(proxy, http)
    assert "masking" in refused(answer, "upstream_failed") and answer.json()["service"] == "masking"
    assert len(stand_in.asked) == 2


def test_a_connection_that_had_died_costs_the_client_nothing(proxy: str, stand_in: StandIn, http: httpx.Client):
    def once(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        stand_in.behave = lambda handler, body: say(handler, 200, b"second time")
        hang_up(handler, body)

    stand_in.behave = once
    assert ask(proxy, http).content == b"second time"


def test_a_service_that_is_not_there_is_named(proxy: str, http: httpx.Client):
    answer = ask(proxy, http, "/v1/parse")
    assert "human_parser" in refused(answer, "upstream_failed") and answer.json()["service"] == "human_parser"


def test_a_service_slower_than_the_deadline_is_not_waited_for(proxy: str, stand_in: StandIn, http: httpx.Client):
    done = threading.Event()
    stand_in.behave = lambda handler, body: done.wait(5)
    begin = time.monotonic()
    detail = refused(ask(proxy, http, **{"X-Deadline-Ms": "400"}), "deadline_exceeded")
    assert time.monotonic() - begin < 3 and "masking" in detail
    done.set()


def test_the_proxy_alone_is_alive_but_not_ready_and_says_what_it_waits_for(proxy: str, http: httpx.Client):
    assert http.get(f"{proxy}/healthz").status_code == 200
    answer = http.get(f"{proxy}/readyz")
    detail = refused(answer, "engine_unavailable")
    assert all(service in detail for service in ("pose_estimation", "human_parser", "densepose", "viton"))
    assert answer.headers["retry-after"]
    status = http.get(f"{proxy}/v1/fleet").json()
    assert status["ready"] is False and status["services"]["viton"]["ready"] is False
    assert http.get(f"{proxy}/v1/info").json()["ready"] is False


def test_a_try_on_without_its_services_names_the_one_that_is_missing(proxy: str, http: httpx.Client):
    answer = http.post(f"{proxy}/v1/tryon", files=good_files("proxy"))
    refused(answer, "upstream_failed")
    assert answer.json()["service"] in ("pose_estimation", "masking")
