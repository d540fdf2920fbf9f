"""A real fleet on published networks: real size and form, made-up weights, real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from infra import engines
from infra.preprocess.densepose.densepose import DensePoseInput
from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.parse import ParseInput
from infra.preprocess.masking.mask import MaskInput
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.arrays import NPY, NPZ, decode_array, encode
from infra.serving.settings import Settings
from infra.weights import WeightsFolder
from tests.calls import refused
from tests.checkpoints import made_up, with_embedded
from tests.conftest import ROOT, SAMPLES
from tests.fleet import RunningFleet, started_fleet

pytestmark = pytest.mark.slow

ENGINES = {
    "masking": ("tracer_b7", {"tracer_b7", "selfie_multiclass"}),
    "human_parser": ("schp", {"schp_cihp"}),
    "pose_estimation": ("openpose", {"openpose_body_25", "openpose_hand"}),
    "densepose": ("densepose_rcnn", {"densepose_rcnn_r50_fpn_s1x"}),
}
PERSON = SAMPLES / "person" / "woman_dress.jpg"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """Small inputs where a setting makes them so; the networks are as published."""
    folder = tmp_path_factory.mktemp("weights")
    with_embedded(folder, WeightsFolder.default().folder)
    for _, ids in ENGINES.values():
        for id in ids - {"selfie_multiclass"}:
            made_up(id, folder)
    settings = {"densepose_short_side": "256", "openpose_net_height": "192", "batch": "3", "threads": "1"}
    try:
        with started_fleet(folder / "fleet.log", weights=str(folder), **settings) as running:
            yield running
    finally:
        for file in folder.glob("*.safetensors"):
            file.unlink()  # a gigabyte, which pytest would keep


def post(fleet: RunningFleet, http: httpx.Client, call: str, service: str, **headers: str) -> httpx.Response:
    files = {"image": (PERSON.name, PERSON.read_bytes())}
    return http.post(f"{fleet.urls[service]}{call}", files=files, headers=headers)


@pytest.mark.parametrize("service", ENGINES)
def test_auto_takes_the_published_networks_and_says_what_runs(
    published: RunningFleet, http: httpx.Client, service: str
):
    name, ids = ENGINES[service]
    said = http.get(f"{published.urls[service]}/v1/info").json()
    assert said["ready"] and said["engine"] == name and said["passed_over"] == {}
    assert {each["id"] for each in said["weights"]} == ids
    assert all(len(digest) == 64 for each in said["weights"] for digest in each["sha256"])
    assert all(each["licence"] and each["commercial_use"] in (True, False) for each in said["weights"])
    assert (said["device"], said["dtype"], said["max_batch"]) == ("cpu", "float32", 3)


def test_the_log_says_whose_licence_allows_no_commercial_use(published: RunningFleet):
    (parser,) = [line for line in published.log.read_text().splitlines() if "schp_cihp: the licence" in line]
    assert "no commercial use" in parser and "docs/weights.md" in parser
    assert "densepose_rcnn_r50_fpn_s1x: the licence" not in published.log.read_text()


def parsed(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return decode_array(answer.content)


def test_the_parser_answers_in_the_fleet_s_labels(published: RunningFleet, http: httpx.Client):
    """SCHP given the frame alone: made-up poses would be of nobody."""
    frame = np.ascontiguousarray(cv2.imread(str(PERSON))[..., ::-1])
    labels = parsed(parse(published, http, frame))
    assert labels.shape == frame.shape[:2] and labels.dtype == np.uint8
    assert len(np.unique(labels)) > 1 and set(np.unique(labels)) <= set(Cihp)


def parse(fleet: RunningFleet, http: httpx.Client, picture: np.ndarray) -> httpx.Response:
    height, width = picture.shape[:2]
    people = np.zeros((1, 25, 3), np.float32)
    people[0, [0, 1, 8, 11, 14]] = [(width / 2, height * at, 1) for at in (0.1, 0.2, 0.5, 0.95, 0.95)]
    given = ParseInput(picture, Pose(people, np.zeros((1, 2, 21, 3), np.float32), "front"))
    headers = {"Content-Type": NPZ, "Accept": NPY}
    return http.post(f"{fleet.urls['human_parser']}/v1/parse", content=encode(given), headers=headers)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (7, 5)])
def test_strips_and_dots_are_answered_or_refused(published: RunningFleet, http: httpx.Client, shape: tuple[int, int]):
    """Black ones, as arrays that bring a pose of nobody: nothing else is looked at before the engine has them."""
    black = np.zeros((*shape, 3), np.uint8)
    nobody = Pose(np.zeros((1, 25, 3), np.float32), np.zeros((1, 2, 21, 3), np.float32), "front")

    def asked(service: str, call: str, item: object) -> httpx.Response:
        return http.post(f"{published.urls[service]}{call}", content=encode(item), headers={"Content-Type": NPZ})

    for service, call, item in (
        ("masking", "/v1/mask", MaskInput(black, "person", nobody)),
        ("human_parser", "/v1/parse", ParseInput(black, nobody)),
        ("pose_estimation", "/v1/pose", PoseInput(black)),
        ("densepose", "/v1/densepose", DensePoseInput(black, nobody)),
    ):
        answer = asked(service, call, item)
        assert answer.status_code == 200 or refused(answer, "no_person")
    refused(asked("masking", "/v1/mask", MaskInput(black, "garment")), "no_garment")


def test_requests_at_once_get_the_answers_that_they_get_alone(published: RunningFleet, http: httpx.Client):
    person = np.ascontiguousarray(cv2.imread(str(PERSON))[..., ::-1])
    pictures = [person, person[::-1].copy(), cv2.resize(person, (300, 500)), person[:, ::-1].copy()]
    alone = [parsed(parse(published, http, each)) for each in pictures]
    with ThreadPoolExecutor(len(pictures)) as pool:
        together = list(pool.map(lambda each: parsed(parse(published, http, each)), pictures))
    for one, same in zip(alone, together):
        assert (one != same).mean() < 1e-3  # a batch adds up in another order


@pytest.mark.parametrize(
    ("call", "service"), [("/v1/mask", "masking"), ("/v1/pose", "pose_estimation"), ("/v1/densepose", "densepose")]
)
def test_the_others_answer_or_say_that_they_see_nobody(
    published: RunningFleet, http: httpx.Client, call: str, service: str
):
    answer = post(published, http, call, service)
    assert answer.status_code == 200 or refused(answer, "no_person")
    assert http.get(f"{published.urls[service]}/readyz").status_code == 200


def test_a_try_on_ends_in_a_picture_or_a_reason(published: RunningFleet, http: httpx.Client):
    garment = SAMPLES / "garment" / "polo.jpg"
    files = {"person": (PERSON.name, PERSON.read_bytes()), "garment": (garment.name, garment.read_bytes())}
    answer = http.post(f"{published.proxy}/v1/tryon", files=files)
    if answer.status_code != 200:
        assert answer.json()["code"] in ("no_person", "no_garment")
    assert http.get(f"{published.proxy}/readyz").status_code == 200


@pytest.mark.parametrize("service", ENGINES)
def test_a_named_engine_without_weights_ends_the_start_with_the_command_that_helps(tmp_path: Path, service: str):
    name, ids = ENGINES[service]
    with_embedded(tmp_path, WeightsFolder.default().folder)
    env = os.environ | {f"EVERYWEAR_{service.upper()}_ENGINE": name, "EVERYWEAR_WEIGHTS": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "everywear", "up"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    first = next(iter(engines.make(service, name, Settings(_env_file=None)).weights))
    assert f"everywear weights fetch {first}" in run.stdout or f"everywear weights import {first}" in run.stdout
