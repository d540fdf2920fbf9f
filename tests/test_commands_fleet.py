"""The command line with real fleets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from infra.commands.demo import MAPS
from infra.serving.settings import SERVICES
from tests.calls import good_files, photo
from tests.fleet import ROOT, RunningFleet, children, fleet_env, fleet_urls, started_fleet
from tests.pictures import png
from tests.test_commands import GARMENT, PERSON, everywear


@pytest.mark.parametrize("name", ["dressed.png", "dressed.jpg", "new/folder/dressed.webp"])
def test_try_on_writes_the_picture_and_prints_what_is_to_be_known(fleet: RunningFleet, tmp_path: Path, name: str):
    out = tmp_path / name
    code, said = everywear("tryon", PERSON, GARMENT, "-o", out, env=fleet_env(fleet.urls))
    assert code == 0, said
    assert "viton=geometric" in said and "Note: the garment was taken for an upper garment by its shape" in said
    dressed = cv2.imread(str(out))[..., ::-1]
    assert dressed.shape == photo().shape and np.abs(dressed.astype(int) - photo()).max() > 50


def test_try_on_passes_on_what_the_fleet_says_against_it(fleet: RunningFleet, tmp_path: Path):
    nobody = tmp_path / "nobody.png"
    nobody.write_bytes(png(np.full((400, 300, 3), 90, np.uint8)))
    code, said = everywear("tryon", nobody, GARMENT, "-o", tmp_path / "out.png", env=fleet_env(fleet.urls))
    assert code == 1 and "(no_person)" in said and "Traceback" not in said
    assert not (tmp_path / "out.png").exists()


def test_doctor_says_that_the_fleet_is_running(fleet: RunningFleet):
    code, said = everywear("doctor", env=fleet_env(fleet.urls))
    assert code == 0 and "the fleet is running" in said


def processes_of(urls: dict[str, str]) -> list[int]:
    """Whoever runs a service of this fleet, child of somebody or not."""
    ports = {url.rpartition(":")[2] for url in urls.values()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "uvicorn" in arguments and ports & set(arguments):
            found.append(int(folder.name))
    return found


def test_demo_writes_the_sample_and_its_maps_and_leaves_nothing_running(tmp_path: Path):
    urls = fleet_urls()
    code, said = everywear("demo", "--once", env=fleet_env(urls), cwd=tmp_path)
    assert code == 0, said
    sheet = cv2.imread(str(tmp_path / "out" / "sample.png"))
    assert sheet.shape == (1024, 3 * 768 + 2 * 12, 3)
    person, _, dressed = (sheet[:, left : left + 768] for left in (0, 780, 1560))
    assert np.abs(person.astype(int) - dressed).max() > 50
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sample.png", *MAPS.values()}
    for name in MAPS.values():
        assert cv2.imread(str(tmp_path / "out" / name)).shape == (1024, 768, 3)
    for service in SERVICES:
        assert any(line.split()[0] == service and " ready after " in line for line in said.splitlines()), service
    for told in ("geometric", "multiclass", "blazepose", "skeleton", "embedded", "sample.png"):
        assert told in said
    assert processes_of(urls) == []


def test_sigterm_stops_all_within_five_seconds(tmp_path: Path):
    with started_fleet(tmp_path / "fleet.log") as running:
        pids = children(running.process.pid)
        assert len(pids) == len(SERVICES)
        with ThreadPoolExecutor(1) as pool:  # stops in the middle of a request too
            answer = pool.submit(httpx.post, f"{running.proxy}/v1/tryon", files=good_files("proxy"), trust_env=False)
            time.sleep(0.3)
            begin = time.monotonic()
            running.process.terminate()
            running.process.wait(timeout=10)
            assert time.monotonic() - begin < 5
            assert answer.exception() is not None or answer.result().status_code >= 500
        assert running.process.returncode == 0
        assert processes_of(running.urls) == []
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        assert running.log.read_text().rstrip().endswith("Stopped.")


def test_ctrl_c_before_the_fleet_is_ready_stops_it_too(tmp_path: Path):
    urls = fleet_urls()
    process = subprocess.Popen(
        [sys.executable, "-m", "everywear", "up"], cwd=ROOT, env=os.environ | fleet_env(urls),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while len(children(process.pid)) < len(SERVICES) and time.monotonic() < deadline:
        time.sleep(0.02)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0 and time.monotonic() - begin < 5
    assert processes_of(urls) == []


def test_up_without_weights_says_how_to_get_them_and_stops(tmp_path: Path):
    urls = fleet_urls()
    code, said = everywear("up", env=fleet_env(urls) | {"EVERYWEAR_WEIGHTS": str(tmp_path)})
    assert code == 1 and "everywear weights fetch" in said and "not ready" in said
    assert processes_of(urls) == []
