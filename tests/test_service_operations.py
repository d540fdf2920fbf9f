"""What every service has beside its own call, over real sockets."""

from __future__ import annotations

import re

import httpx
import pytest

from infra.engines import ENGINES
from infra.serving.settings import SERVICES
from tests.calls import PATHS, refused
from tests.fleet import RunningFleet

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("service", SERVICES)
def test_alive_and_ready(fleet: RunningFleet, http: httpx.Client, service: str):
    for path, status in (("/healthz", "alive"), ("/readyz", "ready")):
        answer = http.get(fleet.urls[service] + path)
        assert (answer.status_code, answer.json()) == (200, {"status": status})


@pytest.mark.parametrize("service", PATHS)
def test_a_service_says_what_it_runs_on(fleet: RunningFleet, http: httpx.Client, service: str):
    said = http.get(f"{fleet.urls[service]}/v1/info").json()
    assert said["service"] == service and said["ready"] is True
    assert said["engine"] in said["engines"] == list(ENGINES[service])
    assert said["device"] == "cpu" and said["dtype"] and said["max_batch"] >= 1 and said["threads"] >= 1
    for weight in said["weights"]:
        assert weight["id"] and weight["licence"] and isinstance(weight["commercial_use"], bool)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in weight["sha256"])
    assert bool(said["weights"]) == (service not in ("densepose", "viton"))  # those two are geometry


def test_the_proxy_says_what_the_fleet_runs_on(fleet: RunningFleet, http: httpx.Client):
    said = http.get(f"{fleet.proxy}/v1/info").json()
    assert said["service"] == "proxy" and said["ready"] is True
    assert set(said["engines"]) == set(PATHS) and "unknown" not in said["engines"].values()
    assert said["cache"]["bytes"] >= 0


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_count_what_was_answered(fleet: RunningFleet, http: httpx.Client, service: str):
    def counted() -> float:
        answer = http.get(f"{fleet.urls[service]}/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = re.search(r'everywear_requests_total\{route="/v1/info",status="200"\} (\S+)', answer.text)
        return float(found[1]) if found else 0.0

    before = counted()
    assert http.get(f"{fleet.urls[service]}/v1/info").status_code == 200
    assert counted() > before


@pytest.mark.parametrize("service", SERVICES)
def test_the_documentation_names_the_call(fleet: RunningFleet, http: httpx.Client, service: str):
    page = http.get(f"{fleet.urls[service]}/docs")
    assert page.headers["content-type"].startswith("text/html") and "openapi.json" in page.text
    document = http.get(f"{fleet.urls[service]}/openapi.json").json()
    wanted = {"/v1/tryon", "/v1/inputs", *PATHS.values()} if service == "proxy" else {PATHS[service]}
    assert wanted <= set(document["paths"])
    for path in wanted:
        assert "multipart/form-data" in document["paths"][path]["post"]["requestBody"]["content"]


@pytest.mark.parametrize("service", SERVICES)
def test_an_id_is_echoed_or_made(fleet: RunningFleet, http: httpx.Client, service: str):
    def answered(**headers: str) -> str:
        return http.get(f"{fleet.urls[service]}/healthz", headers=headers).headers["x-request-id"]

    assert answered(**{"X-Request-ID": "order-4711", "traceparent": TRACE}) == "order-4711"
    assert re.fullmatch(r"[0-9a-f]{32}", answered())
    assert re.fullmatch(r"[0-9a-f]{32}", answered(**{"X-Request-ID": "two words"}))


@pytest.mark.parametrize("service", SERVICES)
def test_wrong_addresses_and_methods_are_problems(fleet: RunningFleet, http: httpx.Client, service: str):
    refused(http.get(f"{fleet.urls[service]}/v2/magic"), "not_found")
    answer = http.get(fleet.urls[service] + PATHS.get(service, "/v1/tryon"))
    refused(answer, "invalid_request", 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_is_told_what_server_this_is(fleet: RunningFleet, http: httpx.Client, service: str):
    assert "server" not in http.get(f"{fleet.urls[service]}/healthz").headers


def test_the_proxy_describes_a_call_as_its_service_does(fleet: RunningFleet, http: httpx.Client):
    passed = http.get(f"{fleet.proxy}/openapi.json").json()["paths"]
    for service, path in PATHS.items():
        own = http.get(f"{fleet.urls[service]}/openapi.json").json()["paths"][path]["post"]
        there = passed[path]["post"]
        assert there["requestBody"] == own["requestBody"] and there["summary"] == own["summary"]
        assert there["responses"]["200"] == own["responses"]["200"] and own["responses"]["200"]["content"]
        assert set(there["responses"]) == {*own["responses"], "502"}
