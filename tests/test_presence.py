from __future__ import annotations

import asyncio

import pytest

from infra.serving.presence import ClientGone, while_connected

REQUEST = {"type": "http.request", "body": b"photo", "more_body": False}


class Client:
    """Sends its request, and hangs up when told to."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.told: list[str] = []
        self._messages = [REQUEST]

    async def receive(self) -> dict[str, object]:
        if self._messages:
            return self._messages.pop()
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        self.told.append(str(message["type"]))


def test_the_work_of_a_client_that_leaves_is_cancelled():
    cancelled = asyncio.Event()

    async def story() -> list[str]:
        client = Client()

        async def app(scope, receive, send):
            await receive()
            client.left.set()
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        with pytest.raises(ClientGone):
            await while_connected(app, {}, client.receive, client.send)
        return client.told

    assert asyncio.run(story()) == [] and cancelled.is_set()


def test_an_answer_that_has_begun_is_finished():
    async def story() -> list[str]:
        client = Client()

        async def app(scope, receive, send):
            await receive()
            await send({"type": "http.response.start"})
            client.left.set()
            await asyncio.sleep(0.02)
            await send({"type": "http.response.body"})

        await while_connected(app, {}, client.receive, client.send)
        return client.told

    assert asyncio.run(story()) == ["http.response.start", "http.response.body"]


def test_a_body_that_breaks_off_is_the_app_s_to_tell():
    async def story() -> list[str]:
        client = Client()
        client.left.set()

        async def app(scope, receive, send):
            assert [(await receive())["type"] for _ in range(2)] == ["http.request", "http.disconnect"]
            await send({"type": "http.response.start"})

        client._messages = [REQUEST | {"more_body": True}]
        await while_connected(app, {}, client.receive, client.send)
        return client.told

    assert asyncio.run(story()) == ["http.response.start"]


def test_what_the_app_raises_is_raised_and_nothing_is_left_running():
    async def story() -> int:
        async def app(scope, receive, send):
            await receive()
            raise ValueError("broken")

        client = Client()
        with pytest.raises(ValueError, match="broken"):
            await while_connected(app, {}, client.receive, client.send)
        return len(asyncio.all_tasks())

    assert asyncio.run(story()) == 1
