"""Every service keeps the promises of its OpenAPI document: requests made from it, answers checked against it."""

from __future__ import annotations

import cv2
import hypothesis
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.preprocess.pose_estimation.keypoints import openpose_json
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving import arrays
from infra.serving.settings import SERVICES
from infra.viton.tryon import TryOnInput
from tests.calls import GARMENT, PATHS, PERSON, garment, photo, shrunk, true_pose
from tests.conftest import SAMPLES, read_grey
from tests.fleet import RunningFleet
from tests.pictures import jpeg, png

EXAMPLES = 24


def no_failure(_ctx: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case) -> None:
    """Schemathesis' `not_a_server_error` without 504, which is right for a deadline that the request itself named."""
    assert response.status_code < 500 or response.status_code == 504, response.text


CHECKS = [
    no_failure,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

HEIGHT = 256


def small_input() -> TryOnInput:
    """A sample person and garment, small."""
    picture, scale = shrunk(photo(), HEIGHT), HEIGHT / len(photo())
    people, hands = true_pose()
    parse = np.asarray(Image.open(SAMPLES / "truth" / f"{PERSON}_parse.png"))
    return TryOnInput(
        person=picture,
        mask=shrunk(read_grey(SAMPLES / "truth" / f"{PERSON}_alpha.png"), HEIGHT),
        parse=cv2.resize(parse, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT),
        pose=Pose(people * np.array([scale, scale, 1], np.float32), hands, "front"),
        garment=shrunk(garment(), HEIGHT),
        garment_mask=shrunk(read_grey(SAMPLES / "garment_truth" / f"{GARMENT}_alpha.png"), HEIGHT),
        kind="upper",
    )


@pytest.fixture(scope="module", autouse=True)
def files() -> None:
    """What stands for a file of each type, so that some requests which fit the document are answered with 200."""
    given = small_input()
    files = {
        "image/jpeg": [jpeg(given.person)],
        "image/png": [png(given.parse), png(given.person)],
        "application/json": [openpose_json(given.pose.people, given.pose.hands).encode()],
        arrays.NPY: [arrays.encode_array(given.person)],
        # The last fits four services; the others fit the one that nothing else is sure to fit.
        arrays.NPZ: [*[arrays.encode(given)] * 4, arrays.encode(PoseInput(given.person))],
    }
    for media_type, good in files.items():
        schemathesis.openapi.media_type(media_type, st.sampled_from([*good, good[0][:200]]))


@pytest.mark.parametrize("service", SERVICES)
def test_answers_are_what_the_document_says(fleet: RunningFleet, service: str):
    schema = schemathesis.openapi.from_url(f"{fleet.urls[service]}/openapi.json")
    for result in schema.get_all_operations():
        assert 200 in statuses(result.ok()), result.ok().label
    assert PATHS.get(service, "/v1/tryon") in schema


def statuses(operation: schemathesis.APIOperation) -> set[int]:
    """Asks what fits the document and what does not, checks the answers; says which statuses came back."""
    seen = set()
    fitting, others = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=fitting | others)
    def holds(case: schemathesis.Case) -> None:
        seen.add(case.call_and_validate(checks=CHECKS, timeout=60).status_code)

    holds()
    return seen
