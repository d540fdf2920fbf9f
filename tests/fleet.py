"""A real fleet for tests and benchmarks: `everywear up` on free ports of this machine."""

from __future__ import annotations

import contextlib
import os
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
        wanted = f"{service}:app"
        found = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        for line in found.splitlines():
            pid, parent, arguments = line.split(None, 2)
            if wanted in arguments and int(parent) == self.process.pid:
                return int(pid)
        raise LookupError(f"{service} is not running")

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


@contextlib.contextmanager
def started_fleet(log: Path, **settings: str) -> Iterator[RunningFleet]:
    """`settings` are environment variables without their prefix, in lower case."""
    urls = {
        service: f"http://127.0.0.1:{port}" for service, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True)
    }
    env = os.environ | {f"EVERYWEAR_{service.upper()}_URL": url for service, url in urls.items()}
    env |= {f"EVERYWEAR_{name.upper()}": value for name, value in settings.items()}
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
