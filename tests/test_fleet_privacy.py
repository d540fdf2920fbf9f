"""Photos are personal data: nothing of them goes to a disk or into a log."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np

from tests.calls import PATHS, photo, refused, try_on_files
from tests.fleet import RunningFleet
from tests.pictures import png

NAME = "anna_mustermann_in_the_shower.png"


def large_photo() -> bytes:
    """A person's photo as a PNG of more than 5 MB: far more than a form parser keeps in memory by default (1 MB)."""
    double = photo().repeat(2, 0).repeat(2, 1)
    noise = np.random.default_rng(3).integers(0, 16, double.shape, np.uint8)
    data = png(np.clip(double, 0, 240) + noise)
    assert len(data) > 5_000_000
    return data


def test_a_large_photo_goes_through_every_service_and_to_no_file(
    fleet: RunningFleet, http: httpx.Client, guard_log: Path
):
    data = large_photo()
    for service in ("masking", "human_parser", "pose_estimation", "densepose"):
        answer = http.post(fleet.urls[service] + PATHS[service], files={"image": (NAME, data)})
        assert answer.status_code == 200, answer.text
    files = try_on_files() | {"person": (NAME, data)}
    refused(http.post(fleet.urls["viton"] + PATHS["viton"], files=files), "invalid_request")  # mask of another size
    answer = http.post(f"{fleet.proxy}/v1/tryon", files={"person": (NAME, data), "garment": files["garment"]})
    assert answer.status_code == 200
    assert fleet.forbidden(guard_log) == []
    assert list((guard_log.parent / "tmp").iterdir()) == []


def test_the_log_has_neither_names_nor_contents(fleet: RunningFleet, http: httpx.Client):
    http.post(f"{fleet.proxy}/v1/tryon", files={NAME: (NAME, b"secret words"), "person": (NAME, b"secret words")})
    http.post(f"{fleet.proxy}/v1/mask", files={"image": (NAME, b"secret words")}, data={"subject": "secret words"})
    log = fleet.log.read_text(errors="replace")
    assert "POST /v1/tryon" in log
    assert "mustermann" not in log and "secret" not in log
    assert max(map(len, log.splitlines())) < 1000  # no content that was printed by mistake
