"""A real fleet for tests and benchmarks: `everywear up` on free ports of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.serving.settings import SERVICES

ROOT = Path(__file__).resolve().parents[1]
GUARD = Path(__file__).resolve().parent / "guard"
READY_SECONDS = 90


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def children(parent: int) -> dict[int, list[str]]:
    """Process id -> arguments of a process's children, zombies left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent_of_it = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent_of_it) == parent and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_bytes().decode().split("\0")
    return found


@dataclass
class RunningFleet:
    process: subprocess.Popen[bytes]
    urls: dict[str, str]
    log: Path

    @property
    def proxy(self) -> str:
        return self.urls["proxy"]

    def pid_of(self, service: str) -> int:
        """Process id of a service, from the system's process table."""
        for pid, arguments in children(self.process.pid).items():
            if f"{service}:app" in arguments:
                return pid
        raise LookupError(f"{service} is not running")

    def forbidden(self, guard_log: Path) -> list[str]:
        """What the guard has noted against the services.

        Files of the supervisor do not count: it never sees a photo, and a library of the weights' command tries out
        links in a temporary folder when it is imported.
        """
        lines = guard_log.read_text().splitlines()
        supervisor_wrote = re.compile(rf"write .* by {self.process.pid}")
        return [line for line in lines if not line.startswith("guarded ") and not supervisor_wrote.fullmatch(line)]

    def wait_ready(self, service: str = "proxy") -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.urls[service]}/readyz", timeout=5, trust_env=False).status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise TimeoutError(f"{service} did not become ready:\n{self.log.read_text()[-4000:]}")


def fleet_urls() -> dict[str, str]:
    """service -> an address that is free now."""
    return {service: f"http://127.0.0.1:{port}" for service, port in zip(SERVICES, free_ports(len(SERVICES)))}


def fleet_env(urls: dict[str, str]) -> dict[str, str]:
    return {f"EVERYWEAR_{service.upper()}_URL": url for service, url in urls.items()}


def guarded_env(log: Path) -> dict[str, str]:
    """What runs a Python process, and those it starts, under the guard."""
    temporary = log.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    paths = [str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "EVERYWEAR_GUARD_LOG": str(log),
        "TMPDIR": str(temporary),
    }


@contextlib.contextmanager
def started_fleet(log: Path, guard_log: Path | None = None, **settings: str) -> Iterator[RunningFleet]:
    """`settings` are environment variables without their prefix, in lower case.

    With a `guard_log` every process runs under `guard/sitecustomize.py` and an empty folder `tmp` beside that log is
    where temporary files would go.
    """
    urls = fleet_urls()
    env = os.environ | fleet_env(urls)
    env |= {f"EVERYWEAR_{name.upper()}": value for name, value in settings.items()}
    if guard_log is not None:
        env |= guarded_env(guard_log)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "everywear", "up"], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        fleet = RunningFleet(process, urls, log)
        fleet.wait_ready()
        yield fleet
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running_fleet() -> Iterator[str]:
    """The proxy's URL of a fleet that lives as long as the context."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, started_fleet(Path(folder) / "fleet.log") as fleet:
        yield fleet.proxy
