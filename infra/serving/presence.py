"""Work goes on only as long as its client is there."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ClientGone(Exception):
    """The client hung up before its answer had begun."""


async def while_connected(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the app, and cancel it when the client leaves after its request was read and before the answer has begun.

    What the app waits for is cancelled with it: a job in a queue, a request to another service. Raises `ClientGone`.
    """
    read, answering = asyncio.Event(), False

    async def receive_to_the_end() -> Message:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            read.set()
        return message

    async def send_and_note(message: Message) -> None:
        nonlocal answering
        answering = True
        await send(message)

    async def leave() -> None:
        await read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass

    work, leaving = asyncio.ensure_future(app(scope, receive_to_the_end, send_and_note)), asyncio.ensure_future(leave())
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not (work.done() or answering):
            raise ClientGone
        await work
    finally:
        work.cancel()
        leaving.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)
