"""`everywear doctor`: is everything there, and what to do about what is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.table import Column, Table

from infra import engines
from infra.commands.up import taken_addresses
from infra.serving.settings import SERVICES, Settings

OLDEST, NEWEST = (3, 10), (3, 14)
LIBRARIES = ("fastapi", "uvicorn", "httpx", "numpy", "opencv-contrib-python-headless", "ai-edge-litert", "pillow")
OTHER_OPENCVS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")


@dataclass(frozen=True)
class Finding:
    what: str
    good: bool
    said: str  # what was found; for a bad one, what to do about it


def run(settings: Settings, console: Console) -> int:
    """Prints the findings. Exit code 1 where something must be mended before the fleet can work."""
    findings = list(examine(settings))
    table = Table("", "what", Column("found", overflow="fold"))
    for finding in findings:
        table.add_row("[green]ok[/]" if finding.good else "[red]no[/]", finding.what, finding.said)
    console.print(table)
    return 0 if all(finding.good for finding in findings) else 1


def examine(settings: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = OLDEST <= sys.version_info[:2] <= NEWEST
    yield Finding("Python", good, version if good else f"{version}; install one from 3.10 to 3.14")
    yield from _libraries()
    yield from _weights(settings)
    yield from _addresses(settings)
    yield _torch()
    yield _gpu()


def _libraries() -> Iterator[Finding]:
    for name in LIBRARIES:
        try:
            yield Finding(name, True, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "missing; run `make run`, or pip install -c backend_requirements.txt -e .")
    for name in OTHER_OPENCVS:
        if importlib.util.find_spec("cv2") and _installed(name):
            yield Finding(name, False, f"a second OpenCV overwrites the first; run pip uninstall {name}")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _weights(settings: Settings) -> Iterator[Finding]:
    folder = engines.weights_folder(settings)
    for service in SERVICES[:-1]:
        try:
            engine = engines.choose(service, settings, folder.path).engine
            for identity in engine.weights:
                folder.path(identity)
            yield Finding(f"{service} engine", True, ", ".join((engine.name, *engine.weights)))
        except engines.NOT_TO_BE_HAD as error:
            yield Finding(f"{service} engine", False, str(error))


def _addresses(settings: Settings) -> Iterator[Finding]:
    taken = taken_addresses(settings)
    if not taken:
        yield Finding("ports", True, "free; `everywear up` starts the fleet")
        return
    try:
        ready = httpx.get(f"{settings.url('proxy')}/readyz", timeout=2, trust_env=False)
        ours = ready.headers.get("x-request-id") is not None
        said = "the fleet is running" if ready.status_code == 200 else f"the proxy answers {ready.text[:200]}"
    except httpx.HTTPError:
        ours, said = False, "but no fleet answers there"
    mend = "" if ours else "; stop what listens there, or set EVERYWEAR_<SERVICE>_URL to other ports"
    yield Finding("ports", ours, f"in use: {', '.join(taken)}; {said}{mend}")


def _torch() -> Finding:
    """Never a fault: the embedded default needs none. Not imported, which takes seconds."""
    try:
        return Finding("torch", True, importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return Finding("torch", True, "none; published networks need it: run `make models`")


def _gpu() -> Finding:
    """Never a fault: the embedded default needs none."""
    if (tool := shutil.which("nvidia-smi")) is None:
        return Finding("GPU", True, "none; every engine runs on the CPU")
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        found = ""
    return Finding("GPU", True, found or "nvidia-smi finds none")
