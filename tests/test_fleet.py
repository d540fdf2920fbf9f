from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from infra import fleet as module
from infra.fleet import Fleet
from infra.serving.settings import SERVICES, Settings

Answer = Callable[[httpx.Request], httpx.Response]


def ready(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"ready": True, "engine": "one", "wants": ["pose"]})


def silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("")


def asked(story, first: Answer = ready):
    """Run a story with a fleet whose services answer as `answer[0]` says; the requests so far are in `seen`."""
    answer, seen = [first], []

    def transport(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return answer[0](request)

    async def live():
        async with httpx.AsyncClient(transport=httpx.MockTransport(transport)) as http:
            return await story(Fleet(http, Settings(_env_file=None)), answer, seen)

    return asyncio.run(live())


def test_what_services_say_of_themselves_is_believed_for_a_while():
    async def story(fleet, _answer, seen):
        await fleet.infos()
        assert await fleet.engines() == dict.fromkeys(SERVICES[:-1], "one")
        return len(seen)

    assert asked(story) == 5


@pytest.mark.parametrize("trouble", [silent, lambda request: httpx.Response(503), lambda request: httpx.Response(200)])
def test_a_service_too_busy_to_answer_keeps_its_engine_and_its_wants(monkeypatch: pytest.MonkeyPatch, trouble: Answer):
    monkeypatch.setattr(module, "INFO_SECONDS", 0.0)

    async def story(fleet, answer, _seen):
        await fleet.infos()
        answer[0] = trouble
        return await fleet.infos()

    for info in asked(story).values():
        assert info == {"ready": False, "engine": "one", "wants": ["pose"]}


def test_the_state_of_the_fleet_is_asked_anew():
    async def story(fleet, answer, _seen):
        before = await fleet.status()
        answer[0] = silent
        return before["viton"]["ready"], (await fleet.status())["viton"]["ready"]

    assert asked(story) == (True, False)


def test_who_never_answered_is_unknown():
    async def story(fleet, _answer, _seen):
        return await fleet.engines()

    assert asked(story, silent) == dict.fromkeys(SERVICES[:-1], "unknown")
