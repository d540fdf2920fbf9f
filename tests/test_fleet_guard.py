"""What the guard has seen in the fleet that all tests have used; `conftest.py` runs this module last."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.serving.settings import SERVICES
from tests.calls import good_files
from tests.fleet import RunningFleet, guarded_env


def guarded(log: Path) -> set[int]:
    return {int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("guarded ")}


def test_every_process_was_guarded_and_did_nothing_forbidden(fleet: RunningFleet, http: httpx.Client, guard_log: Path):
    assert http.post(f"{fleet.proxy}/v1/tryon", files=good_files("proxy")).status_code == 200
    assert {fleet.process.pid, *map(fleet.pid_of, SERVICES)} <= guarded(guard_log)
    assert fleet.forbidden(guard_log) == []


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_talks_to_another_machine_below_python_either(fleet: RunningFleet, service: str):
    """The kernel's tables see the sockets of libraries written in C too."""
    inodes = set()
    for link in Path(f"/proc/{fleet.pid_of(service)}/fd").iterdir():
        target = os.readlink(link) if link.is_symlink() else ""
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    assert inodes
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[9] in inodes:
                peer = address(columns[2].partition(":")[0])
                assert peer.is_loopback or peer.is_unspecified, f"{service} talks to {peer}"


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """As the kernel prints it: 32-bit words in the machine's own byte order, in hex."""
    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    found = ipaddress.ip_address(b"".join(words))
    return getattr(found, "ipv4_mapped", None) or found


@pytest.mark.parametrize(
    ("code", "noted"),
    [
        ("import torch", "import torch"),
        ("import socket; socket.socket().connect(('192.0.2.1', 80))", "socket.connect ('192.0.2.1', 80)"),
        ("import socket; socket.getaddrinfo('example.org', 80)", "socket.getaddrinfo example.org"),
        ("import tempfile; tempfile.TemporaryFile().write(b'x')", "write "),
        ("import asyncio; asyncio.run(asyncio.open_connection('192.0.2.1', 80))", "socket.connect ('192.0.2.1', 80)"),
    ],
)
def test_the_guard_sees_what_it_is_there_for(tmp_path: Path, code: str, noted: str):
    log = tmp_path / "guard.log"
    subprocess.run([sys.executable, "-c", code], env=os.environ | guarded_env(log), capture_output=True, timeout=60)
    first, *seen = log.read_text().splitlines()
    assert first.startswith("guarded ") and any(line.startswith(noted) for line in seen), seen
