"""`everywear up`: the whole fleet on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from rich.console import Console

from infra import engines
from infra.serving.settings import SERVICES, Settings
from infra.serving.supervisor import Supervisor, address, command

READY_SECONDS = 120.0  # a service that has not come up by then will not
ROOT = Path(__file__).resolve().parents[2]

_COLOURS = dict(zip(SERVICES, ("cyan", "magenta", "green", "yellow", "blue", "white"), strict=True))

Then = Callable[[Settings], Awaitable[bool]]
"""What is done once the fleet is ready; answers whether to keep serving."""


def run(settings: Settings, console: Console, then: Then | None = None) -> int:
    """Start every service, wait until all are ready, do `then`, serve until Ctrl-C or SIGTERM. Returns an exit code."""
    try:
        check_named_engines(settings)
    except engines.NOT_TO_BE_HAD as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    taken = taken_addresses(settings)
    if taken:
        console.print(f"[red]In use already:[/] {', '.join(taken)}. Is the fleet running? See `everywear doctor`.")
        return 1
    return asyncio.run(_serve(settings, console, then))


def check_named_engines(settings: Settings) -> None:
    """What a setting names must be there: a service without its engine would be restarted for ever.

    Raises `engines.NOT_TO_BE_HAD`.
    """
    folder = engines.weights_folder(settings)
    for service in SERVICES[:-1]:
        if settings.engine(service) != "auto":
            engines.choose(service, settings, folder.path)


def taken_addresses(settings: Settings) -> list[str]:
    """`service host:port` of the addresses that something listens on already."""
    taken = []
    for service in SERVICES:
        host, port = address(service, settings)
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.3):
            taken.append(f"{service} {host}:{port}")
    return taken


async def _serve(settings: Settings, console: Console, then: Then | None) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def say(service: str, line: str) -> None:
        console.print(f"[{_COLOURS[service]}]{service:>15}[/] ", end="")
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    supervisor = Supervisor({service: command(service, settings) for service in SERVICES}, say)
    supervisor.start()
    stopping = asyncio.create_task(stop.wait())
    try:
        if not await _first_of(wait_ready(settings, say), stopping, otherwise=False):
            if stop.is_set():
                return 0
            console.print("\nNot everything is ready; `everywear doctor` says what to do.", style="red")
            return 1
        console.print(
            f"\n[bold green]Ready:[/] {settings.proxy_url}/v1/tryon   (what else: {settings.proxy_url}/docs)\n"
        )
        if then is None or await _first_of(then(settings), stopping, otherwise=False):
            console.print("Serving until Ctrl-C.")
            await stopping
        return 0
    finally:
        stopping.cancel()
        await supervisor.stop()
        console.print("Stopped.")


async def _first_of(work: Awaitable[bool], stopping: asyncio.Task[bool], otherwise: bool) -> bool:
    """The work's answer, or `otherwise` where the fleet is told to stop before it is done."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return otherwise


async def wait_ready(settings: Settings, say: Callable[[str, str], None]) -> bool:
    """Until every service answers `/readyz` with 200; False after `READY_SECONDS`, having said what is wrong."""
    begin = time.monotonic()
    async with httpx.AsyncClient(trust_env=False, timeout=2) as http:

        async def wait(service: str) -> bool:
            reason = "it does not answer"
            while time.monotonic() - begin < READY_SECONDS:
                try:
                    answer = await http.get(f"{settings.url(service)}/readyz")
                    if answer.status_code == 200:
                        seconds = time.monotonic() - begin
                        say(service, f"ready after {seconds:.1f} s{await _with_engine(http, settings, service)}")
                        return True
                    reason = answer.json().get("detail", "")
                    if "could not be loaded" in reason:
                        break
                except (httpx.HTTPError, ValueError):
                    pass
                await asyncio.sleep(0.1)
            say(service, f"not ready: {reason}")
            return False

        return all(await asyncio.gather(*map(wait, SERVICES[:-1]))) and await wait("proxy")


async def _with_engine(http: httpx.AsyncClient, settings: Settings, service: str) -> str:
    engine = (await http.get(f"{settings.url(service)}/v1/info")).json().get("engine")
    return f", engine {engine}" if engine else ""
