from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.serving import supervisor as module
from infra.serving.supervisor import Supervisor


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def supervised(commands: dict[str, list[str]], story):
    said: list[tuple[str, str]] = []

    async def live():
        keeper = Supervisor(commands, lambda service, line: said.append((service, line)))
        keeper.start()
        try:
            return await story(keeper, said)
        finally:
            await keeper.stop()

    return asyncio.run(live())


def test_a_process_that_dies_is_started_again_after_a_pause(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.05)

    async def story(keeper, said):
        await until(lambda: "a" in keeper.pids() and ("a", "up") in said)
        first = keeper.pids()["a"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper.pids().get("a", first) != first)
        return said

    said = supervised({"a": python("import time; print('up'); time.sleep(60)")}, story)
    assert any("SIGKILL" in line and "starting again" in line for _, line in said)


def test_the_pause_grows_with_every_death_in_a_row(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)

    async def story(_keeper, said):
        await until(lambda: sum("starting again" in line for _, line in said) >= 4)
        return [float(line.rsplit("in ", 1)[1].split()[0]) for _, line in said if "starting again" in line]

    pauses = supervised({"a": python("raise SystemExit(3)")}, story)
    assert pauses == sorted(pauses) and pauses[3] > pauses[0]


def test_logs_come_with_the_service_they_are_of():
    async def story(_keeper, said):
        await until(lambda: len(said) >= 2)
        return said

    said = supervised({name: python(f"import time; print('I am {name}'); time.sleep(60)") for name in "ab"}, story)
    assert ("a", "I am a") in said and ("b", "I am b") in said


def test_a_line_too_long_does_not_stop_the_service_s_log(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)

    async def story(_keeper, said):
        await until(lambda: ("a", "after") in said)
        return said

    code = "import time; print('before'); print('x' * 500_000); print('after'); time.sleep(60)"
    assert ("a", "before") in supervised({"a": python(code)}, story)


def test_stopping_ends_even_who_does_not_listen_and_what_they_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "STOP_SECONDS", 0.3)
    deaf = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal,time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);time.sleep(60)'])\n"
        "print(child.pid)\n"
        "time.sleep(60)"
    )
    pids = []

    async def story(keeper, said):
        await until(lambda: any(line.isdigit() for _, line in said))
        pids.extend([keeper.pids()["a"], int(next(line for _, line in said if line.isdigit()))])
        assert all(map(alive, pids))

    supervised({"a": python(deaf)}, story)
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path):
    told = tmp_path / "pid"
    code = (
        "import asyncio, sys\n"
        "from infra.serving.supervisor import Supervisor\n"
        "async def live():\n"
        f"    child = \"import os,time; open({str(told)!r},'w').write(str(os.getpid())); time.sleep(60)\"\n"
        "    Supervisor({'a': [sys.executable, '-c', child]}, print).start()\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(live())"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1])
    deadline = time.monotonic() + 15
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(told.read_text())
    assert alive(child)
    parent.kill()
    parent.wait()
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)
