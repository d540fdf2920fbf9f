"""The command line without a fleet."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from infra import __version__
from infra.commands import doctor
from infra.commands.demo import side_by_side
from infra.commands.up import taken_addresses
from infra.serving.settings import Settings
from tests.fleet import ROOT, fleet_env, fleet_urls

PERSON, GARMENT = ROOT / "samples/person/woman_tshirt_jeans.jpg", ROOT / "samples/garment/polo.jpg"


def everywear(*arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None):
    """The command as a user runs it: exit code and everything printed, on a wide terminal."""
    full = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "250"} | (env or {})
    done = subprocess.run(
        [sys.executable, "-m", "everywear", *map(str, arguments)], cwd=cwd or ROOT, env=full, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def nowhere() -> dict[str, str]:
    """Settings of a fleet that does not run."""
    return fleet_env(fleet_urls())


def test_version():
    assert everywear("version") == (0, f"{__version__}\n")


def test_without_arguments_the_commands_are_listed():
    _, said = everywear()
    assert all(command in said for command in ("up", "tryon", "demo", "weights", "doctor", "version"))


def test_try_on_without_a_fleet_says_how_to_start_one(nowhere: dict[str, str], tmp_path: Path):
    code, said = everywear("tryon", PERSON, GARMENT, "-o", tmp_path / "out.png", env=nowhere)
    assert code == 1 and "everywear up" in said and nowhere["EVERYWEAR_PROXY_URL"] in said
    assert "Traceback" not in said and not (tmp_path / "out.png").exists()


def test_try_on_refuses_what_it_cannot_read_or_write(nowhere: dict[str, str], tmp_path: Path):
    code, said = everywear("tryon", tmp_path / "nobody.jpg", GARMENT, env=nowhere)
    assert code == 2 and "does not exist" in said
    code, said = everywear("tryon", PERSON, GARMENT, "-o", tmp_path / "out.bmp", env=nowhere)
    assert code == 2 and ".png" in said
    code, said = everywear("tryon", PERSON, GARMENT, "--kind", "hat", env=nowhere)
    assert code == 2 and "upper" in said


def test_doctor_finds_everything_in_order(nowhere: dict[str, str]):
    code, said = everywear("doctor", env=nowhere)
    assert code == 0, said
    for what in ("Python", "numpy", "masking engine", "viton engine", "ports", "GPU"):
        assert what in said
    assert "embedded, selfie_multiclass, modnet, u2netp" in said and "geometric" in said


def test_doctor_says_what_to_do_about_missing_weights_and_unknown_engines(nowhere: dict[str, str], tmp_path: Path):
    mistakes = {"EVERYWEAR_WEIGHTS": str(tmp_path), "EVERYWEAR_POSE_ESTIMATION_ENGINE": "openpoze"}
    code, said = everywear("doctor", env=nowhere | mistakes)
    said = " ".join(said.split())
    assert code == 1 and "everywear weights fetch" in said and "EVERYWEAR_POSE_ESTIMATION_ENGINE=openpoze" in said


def test_doctor_knows_a_stranger_on_a_port():
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        urls = fleet_urls() | {"masking": f"http://127.0.0.1:{stranger.getsockname()[1]}"}
        settings = Settings(**{f"{service}_url": url for service, url in urls.items()})
        (taken,) = taken_addresses(settings)
        assert taken.startswith("masking 127.0.0.1:")
        ports = next(finding for finding in doctor.examine(settings) if finding.what == "ports")
    assert not ports.good and "masking" in ports.said and "other ports" in ports.said


def test_up_does_not_start_beside_something_else():
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        urls = fleet_urls() | {"viton": f"http://127.0.0.1:{stranger.getsockname()[1]}"}
        code, said = everywear("up", env=fleet_env(urls))
    assert code == 1 and "viton 127.0.0.1:" in said and "everywear doctor" in said


def test_up_does_not_start_with_an_engine_that_does_not_exist(nowhere: dict[str, str]):
    code, said = everywear("up", env=nowhere | {"EVERYWEAR_HUMAN_PARSER_ENGINE": "nonsense"})
    said = " ".join(said.split())
    assert code == 1 and "EVERYWEAR_HUMAN_PARSER_ENGINE=nonsense" in said and "multiclass" in said
    assert "Traceback" not in said


def test_up_does_not_start_with_a_named_engine_whose_weights_are_missing(nowhere: dict[str, str], tmp_path: Path):
    mistakes = {"EVERYWEAR_MASKING_ENGINE": "embedded", "EVERYWEAR_WEIGHTS": str(tmp_path)}
    code, said = everywear("up", env=nowhere | mistakes)
    assert code == 1 and "everywear weights fetch" in " ".join(said.split()) and "Traceback" not in said


def test_a_setting_that_cannot_be_is_named_without_a_traceback(nowhere: dict[str, str]):
    code, said = everywear("up", env=nowhere | {"EVERYWEAR_QUEUE": "many"})
    assert code == 1 and "EVERYWEAR_QUEUE: " in said and "Traceback" not in said


def test_pictures_side_by_side_have_the_last_one_s_height():
    sheet = side_by_side(
        np.zeros((200, 100, 3), np.uint8), np.zeros((50, 50, 3), np.uint8), np.zeros((100, 80, 3), np.uint8)
    )
    assert sheet.shape == (100, 50 + 12 + 100 + 12 + 80, 3)
    assert (sheet[:, 50:62] == 255).all() and not sheet[:, :50].any() and not sheet[:, -80:].any()
