"""Running another program while staying able to stop it."""

from __future__ import annotations

import subprocess
import threading

from infra.weights.download import SourceError

POLL_SECONDS = 0.2
LIMIT_SECONDS = 900  # 50 MB at 0.5 Mbit/s


def run_command(command: list[str], stop: threading.Event) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end, its output kept; killed when `stop` is set or the time limit is over."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        for _ in range(int(LIMIT_SECONDS / POLL_SECONDS)):
            try:
                stdout, stderr = process.communicate(timeout=POLL_SECONDS)
                return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    break
        process.kill()
        raise SourceError("stopped" if stop.is_set() else f"no end after {LIMIT_SECONDS} s")
