"""The fleet as processes of one machine: started together, restarted when one dies, stopped together.

Everything is asyncio and signals of the standard library; `docs/dependencies.md` says why no library fits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from infra.serving.settings import Settings

APPS = Path(__file__).resolve().parents[2]  # where masking.py and the others lie, whatever folder this is run in

STOP_SECONDS = 4.0  # from SIGTERM to SIGKILL
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # before a restart; doubles with every death in a row
STEADY_SECONDS = 20.0  # who lived longer starts again without the back-off of earlier deaths

LONGEST_LINE = 2**20  # bytes of a service's log

_LIBC = ctypes.CDLL(None)  # opened here: between fork and exec a child may not open libraries
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>: a signal for the child when its parent dies

Say = Callable[[str, str], None]
"""Service, line of its log."""


def address(service: str, settings: Settings) -> tuple[str, int]:
    """Host and port that a service listens on: its URL's, but the proxy's host is a setting of its own."""
    url = urlsplit(settings.url(service))
    host = settings.host if service == "proxy" else url.hostname
    return host or "127.0.0.1", url.port or 80


def command(service: str, settings: Settings) -> list[str]:
    """How a service is started. The access log is our own, and uvicorn speaks up only when something is wrong."""
    host, port = address(service, settings)
    return [
        sys.executable, "-m", "uvicorn", f"{service}:app", "--host", host, "--port", str(port),
        "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "2", "--no-server-header",
        "--app-dir", str(APPS),
    ]  # fmt: skip


class Supervisor:
    """Keeps one process per service alive. `commands` maps a name to its argument list."""

    def __init__(self, commands: dict[str, list[str]], say: Say, env: dict[str, str] | None = None) -> None:
        self._commands, self._say, self._env = commands, say, env
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(name)) for name in self._commands]

    def pids(self) -> dict[str, int]:
        """Of the services that run now."""
        return {name: process.pid for name, process in self._running.items()}

    async def stop(self) -> None:
        """SIGTERM to all, SIGKILL to those that are still there after `STOP_SECONDS`; nothing is left behind."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        running = list(self._running.values())
        for process in running:
            _signal_group(process, signal.SIGTERM)
        waiting = [asyncio.create_task(process.wait()) for process in running]
        if waiting:
            await asyncio.wait(waiting, timeout=STOP_SECONDS)
        for process in running:
            _signal_group(process, signal.SIGKILL)
        await asyncio.gather(*waiting)
        self._running.clear()

    async def _keep(self, name: str) -> None:
        pause = FIRST_PAUSE
        while True:
            begin = time.monotonic()
            code = await self._live(name)
            pause = FIRST_PAUSE if time.monotonic() - begin > STEADY_SECONDS else min(2 * pause, LONGEST_PAUSE)
            self._say(name, f"ended with {_ending(code)}; starting again in {pause:.1f} s")
            await asyncio.sleep(pause)

    async def _live(self, name: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._commands[name], stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env=self._env, start_new_session=True, preexec_fn=_die_with_parent,
            limit=LONGEST_LINE,
        )  # fmt: skip
        self._running[name] = process
        assert process.stdout is not None
        while line := await _line(process.stdout):
            self._say(name, line.decode(errors="replace").rstrip())
        code = await process.wait()
        _signal_group(process, signal.SIGKILL)  # what it may have left behind
        del self._running[name]
        return code


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end. What is longer than the limit is left out, since a pipe must be read on."""
    while True:
        with contextlib.suppress(ValueError):
            return await stream.readline()


def _die_with_parent() -> None:
    """In the child: Linux ends it when the supervisor itself is killed."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
