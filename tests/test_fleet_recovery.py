"""A preprocessor dies in the middle of a request."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.calls import good_files, photo, refused
from tests.fleet import RunningFleet
from tests.pictures import png


def fresh_person(mark: int) -> dict[str, tuple[str, bytes]]:
    """Files of a try-on whose person no cache knows."""
    marked = photo("woman_tank_skirt").copy()
    marked[:8, :8] = mark
    return good_files("proxy") | {"person": ("me.png", png(marked))}


def at_work(pid: int) -> bool:
    """The process has just used CPU time."""

    def ticks() -> int:
        with open(f"/proc/{pid}/stat") as stat:
            return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))

    before = ticks()
    time.sleep(0.05)
    return ticks() > before


def test_a_service_killed_in_the_middle_of_a_request_is_named_and_comes_back(fleet: RunningFleet, http: httpx.Client):
    def dress(mark: int) -> httpx.Response:
        return http.post(f"{fleet.proxy}/v1/tryon", files=fresh_person(mark), data={"kind": "upper"})

    assert dress(1).status_code == 200
    pid = fleet.pid_of("masking")
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(dress, 2)
        while not at_work(pid):
            assert not pending.done(), "masking was never asked"
        os.kill(pid, signal.SIGKILL)
        answer = pending.result()
    assert "masking" in refused(answer, "upstream_failed") and answer.json()["service"] == "masking"

    others = [service for service in fleet.urls if service not in ("masking", "proxy")]
    assert all(http.get(f"{fleet.urls[service]}/readyz").status_code == 200 for service in others)
    assert http.get(f"{fleet.proxy}/healthz").status_code == 200

    fleet.wait_ready("masking")
    fleet.wait_ready("proxy")
    assert fleet.pid_of("masking") != pid
    assert dress(3).status_code == 200
    assert "masking" in fleet.log.read_text() and "SIGKILL; starting again" in fleet.log.read_text()


def test_the_work_of_a_client_that_hangs_up_ends_in_every_service(fleet: RunningFleet, http: httpx.Client):
    def given_up(service: str) -> float:
        text = http.get(f"{fleet.urls[service]}/metrics").text
        return sum(map(float, re.findall(r'everywear_requests_total\{route="[^"]*",status="499"\} (\S+)', text)))

    before = given_up("proxy"), given_up("masking")
    with contextlib.suppress(httpx.ReadTimeout), httpx.Client(timeout=httpx.Timeout(10, read=0.15)) as impatient:
        impatient.post(f"{fleet.proxy}/v1/tryon", files=fresh_person(4), data={"kind": "upper"})
        raise AssertionError("answered sooner than any engine can")
    deadline = time.monotonic() + 10
    while (given_up("proxy"), given_up("masking")) <= before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert given_up("proxy") == before[0] + 1 and given_up("masking") > before[1]
    assert http.post(f"{fleet.proxy}/v1/tryon", files=fresh_person(5), data={"kind": "upper"}).status_code == 200
