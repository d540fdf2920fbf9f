"""The main job through real processes: two photos in, a dressed person out."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image

from infra.serving.timing import durations
from tests.calls import (
    PATHS,
    PERSON,
    garment,
    good_files,
    opened,
    overlap,
    photo,
    refused,
    shrunk,
    small_photo,
    true_pose,
    unzipped,
)
from tests.conftest import SAMPLES
from tests.fleet import RunningFleet
from tests.pictures import jpeg, png

TRUE_PARSE = np.asarray(Image.open(SAMPLES / "truth" / f"{PERSON}_parse.png"))
SHIRT, FACE, GROUND = TRUE_PARSE == 5, TRUE_PARSE == 13, TRUE_PARSE == 0
ENGINES = {
    "masking": "embedded",
    "human_parser": "multiclass",
    "pose_estimation": "blazepose",
    "densepose": "skeleton",
    "viton": "geometric",
}
PERSON_STEPS = {"pose_estimation", "masking", "human_parser", "densepose", "frame"}

Ask = Callable[..., httpx.Response]


@pytest.fixture
def tryon(fleet: RunningFleet, http: httpx.Client) -> Ask:
    def ask(person: bytes | None = None, clothes: bytes | None = None, accept: str = "*/*", **fields: str):
        files = good_files("proxy")
        if person is not None:
            files["person"] = ("me", person)
        if clothes is not None:
            files["garment"] = ("it", clothes)
        return http.post(
            f"{fleet.proxy}/v1/tryon", files=files, data={"kind": "upper"} | fields, headers={"Accept": accept}
        )

    return ask


def change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(before.astype(int) - after).max(2)


def test_the_shirt_is_another_and_face_and_ground_are_untouched(tryon: Ask):
    answer = tryon()
    assert answer.headers["content-type"] == "image/png"
    picture = opened(answer)
    assert picture.shape == photo().shape
    changed = change(photo(), picture)
    assert (changed[SHIRT] > 20).mean() > 0.6
    assert (changed[FACE] == 0).mean() > 0.97  # the neckline may touch the chin's rim
    assert (changed[GROUND] == 0).mean() > 0.97  # the new shirt may be wider than the old one
    assert (changed[: np.flatnonzero(FACE.any(1)).max() - 40] == 0).all()


def test_the_answer_tells_who_made_it_and_how_long_each_took(tryon: Ask):
    answer = tryon(jpeg(photo("man_stripes_chinos")), jpeg(garment("polo")))
    assert answer.headers["x-engine"] == ", ".join(f"{service}={engine}" for service, engine in ENGINES.items())
    assert answer.headers["x-garment-kind"] == "upper" and answer.headers["x-view"] == "front"
    assert answer.headers["x-request-id"]
    spent = durations(answer.headers["server-timing"])
    assert {*PERSON_STEPS, "garment", "viton", "decode", "encode", "work"} <= set(spent)
    assert all(seconds > 0 for seconds in spent.values())


def test_the_second_garment_on_a_person_costs_the_garment_and_the_try_on_alone(tryon: Ask):
    person = jpeg(photo("man_tank_trousers"))
    first = durations(tryon(person, jpeg(garment("polo"))).headers["server-timing"])
    assert PERSON_STEPS <= set(first)
    second = durations(tryon(person, jpeg(garment("tshirt_dark"))).headers["server-timing"])
    assert not PERSON_STEPS & set(second) and {"garment", "viton"} <= set(second)
    both = durations(tryon(person, jpeg(garment("polo"))).headers["server-timing"])
    assert not (PERSON_STEPS | {"garment"}) & set(both) and "viton" in both


@pytest.mark.parametrize(("media_type", "kind"), [("image/png", "PNG"), ("image/jpeg", "JPEG"), ("image/webp", "WEBP")])
def test_every_picture_type(tryon: Ask, media_type: str, kind: str):
    answer = tryon(accept=media_type)
    assert answer.headers["content-type"] == media_type
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size, image.mode) == (kind, (768, 1024), "RGB")
    assert not image.getexif() and "icc_profile" not in image.info


def test_json_holds_the_same_picture_and_what_is_known_of_it(tryon: Ask):
    answer = tryon(accept="application/json")
    said = answer.json()
    image = Image.open(io.BytesIO(base64.b64decode(said["image"])))
    np.testing.assert_array_equal(np.asarray(image), opened(tryon()))
    assert (said["width"], said["height"], said["media_type"]) == (768, 1024, "image/png")
    assert said["engines"] == ENGINES and said["kind"] == "upper" and said["view"] == "front"
    assert isinstance(said["notes"], list)


def test_kind_is_guessed_and_the_guess_is_told(tryon: Ask):
    answer = tryon(kind="auto")
    assert answer.headers["x-garment-kind"] == "upper" and "send kind to say what it is" in answer.headers["x-notes"]
    assert tryon(clothes=jpeg(garment("jeans")), kind="auto").headers["x-garment-kind"] == "lower"


def test_trousers_change_the_legs_and_leave_the_shirt(tryon: Ask):
    changed = change(photo(), opened(tryon(clothes=jpeg(garment("jeans")), kind="lower")))
    assert (changed[TRUE_PARSE == 9] > 10).mean() > 0.5
    assert (changed[SHIRT] == 0).mean() > 0.8
    assert (changed[FACE] == 0).all()


def test_a_photo_of_another_size_keeps_its_size_and_the_frame_has_its_own(tryon: Ask):
    person = png(shrunk(photo(), 700))
    assert opened(tryon(person)).shape == (700, 525, 3)
    assert opened(tryon(person, output="frame")).shape == (1024, 768, 3)


def on_canvas(canvas: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def test_a_small_person_in_a_large_photo_is_dressed_where_they_stand(tryon: Ask):
    person = shrunk(photo(), 600)
    canvas = np.full((1600, 2400, 3), person[5, 5], np.uint8)
    on_canvas(canvas, person, 1500, 700)
    picture = opened(tryon(png(canvas)))
    changed = change(canvas, picture) > 20
    assert picture.shape == canvas.shape
    there = changed[700:1300, 1500:1950]
    shirt = np.asarray(Image.fromarray(SHIRT).resize((450, 600)))
    assert there[shirt].mean() > 0.5 and changed.sum() == there.sum()


def test_of_several_people_the_largest_is_dressed(tryon: Ask):
    large, small = shrunk(photo(), 900), shrunk(photo("man_stripes_chinos"), 500)
    canvas = np.full((950, 1300, 3), large[5, 5], np.uint8)
    on_canvas(canvas, small, 60, 400)
    on_canvas(canvas, large, 560, 40)
    changed = change(canvas, opened(tryon(png(canvas)))) > 20
    shirt = np.asarray(Image.fromarray(SHIRT).resize(large.shape[1::-1]))
    assert changed[40:940, 560 : 560 + large.shape[1]][shirt].mean() > 0.5
    assert changed[:, : 60 + small.shape[1]].mean() < 0.001


@pytest.mark.parametrize("where", ["neck", "knees"])
def test_a_person_cropped_by_the_photo_is_dressed_as_far_as_they_are_seen(tryon: Ask, where: str):
    points = true_pose()[0][0]
    neck = int(points[1, 1])
    knees = int(np.flatnonzero((TRUE_PARSE == 9).any(1)).max() - 40)
    rows = np.s_[neck - 60 :] if where == "neck" else np.s_[:knees]
    person = np.ascontiguousarray(photo()[rows])
    answer = tryon(png(person))
    changed = change(person, opened(answer))
    assert (changed[SHIRT[rows]] > 20).mean() > 0.5


@pytest.fixture(scope="module")
def inputs(fleet: RunningFleet, http: httpx.Client) -> dict[str, bytes]:
    answer = http.post(f"{fleet.proxy}/v1/inputs", files=good_files("proxy"), data={"kind": "upper"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip", answer.text[:300]
    assert "inputs.zip" in answer.headers["content-disposition"]
    assert "densepose=skeleton" in answer.headers["x-engine"]
    return unzipped(answer.content)


def test_inputs_are_the_files_of_viton_hd(inputs: dict[str, bytes]):
    modes = {name: Image.open(io.BytesIO(data)) for name, data in inputs.items() if name.endswith(("jpg", "png"))}
    assert {name: image.mode for name, image in modes.items()} == {
        "image/person.jpg": "RGB",
        "mask/person.png": "L",
        "image-parse-v3/person.png": "P",
        "openpose_img/person_rendered.png": "RGB",
        "image-densepose/person.jpg": "RGB",
        "densepose-iuv/person.png": "RGB",
        "cloth/garment.jpg": "RGB",
        "cloth-mask/garment.jpg": "L",
    }
    assert {image.size for image in modes.values()} == {(768, 1024)}
    assert set(inputs) - set(modes) == {"openpose_json/person_keypoints.json", "test_pairs.txt"}
    assert len(json.loads(inputs["openpose_json/person_keypoints.json"])["people"]) == 1


def test_inputs_show_the_person_and_the_garment(inputs: dict[str, bytes]):
    parse = np.asarray(Image.open(io.BytesIO(inputs["image-parse-v3/person.png"])))
    assert overlap(parse == 5, SHIRT) > 0.85
    cloth = np.asarray(Image.open(io.BytesIO(inputs["cloth-mask/garment.jpg"]))) > 127
    assert 0.2 < cloth.mean() < 0.8


def test_inputs_without_a_garment_are_the_person_s(fleet: RunningFleet, http: httpx.Client):
    answer = http.post(f"{fleet.proxy}/v1/inputs", files={"person": good_files("proxy")["person"]})
    names = set(unzipped(answer.content))
    assert "image/person.jpg" in names and not any("cloth" in name for name in names)


def test_what_inputs_gives_is_what_synthesize_takes(fleet: RunningFleet, http: httpx.Client, inputs: dict[str, bytes]):
    files = {
        "person": inputs["image/person.jpg"],
        "mask": inputs["mask/person.png"],
        "parse": inputs["image-parse-v3/person.png"],
        "pose": inputs["openpose_json/person_keypoints.json"],
        "garment": inputs["cloth/garment.jpg"],
        "garment_mask": inputs["cloth-mask/garment.jpg"],
        "densepose": inputs["densepose-iuv/person.png"],
    }
    named = {name: (name, data) for name, data in files.items()}
    picture = opened(http.post(f"{fleet.urls['viton']}/v1/synthesize", files=named))
    assert (change(photo(), picture)[SHIRT] > 20).mean() > 0.6


@pytest.mark.parametrize("service", PATHS)
def test_passed_through_the_proxy_an_answer_is_the_service_s_own(fleet: RunningFleet, http: httpx.Client, service: str):
    files = good_files(service)
    direct = http.post(fleet.urls[service] + PATHS[service], files=files)
    passed = http.post(fleet.proxy + PATHS[service], files=files)
    assert passed.status_code == direct.status_code == 200
    assert passed.content == direct.content
    for header in ("content-type", "x-engine", "x-view"):
        assert passed.headers.get(header) == direct.headers.get(header)
    assert {"infer", "queue", service} <= set(durations(passed.headers["server-timing"]))


def test_refusals_pass_through_too(fleet: RunningFleet, http: httpx.Client):
    for request in ({"files": {"image": ("me", b"")}}, {"files": {"other": ("me", b"")}}, {"json": {}}):
        direct = http.post(f"{fleet.urls['masking']}/v1/mask", **request)
        passed = http.post(f"{fleet.proxy}/v1/mask", **request)
        assert (passed.status_code, passed.json()) == (direct.status_code, direct.json())


def test_the_fleet_s_state(fleet: RunningFleet, http: httpx.Client, tryon: Ask):
    tryon(png(small_photo()))
    said = http.get(f"{fleet.proxy}/v1/fleet").json()
    assert said["ready"] is True
    assert {service: each["engine"] for service, each in said["services"].items()} == ENGINES
    for service, each in said["services"].items():
        assert each["url"] == fleet.urls[service] and each["ready"] is True and each["latency_ms"] > 0
    assert said["services"]["densepose"]["note"]


@pytest.mark.parametrize("path", ["/v1/tryon", "/v1/inputs", *PATHS.values()])
def test_a_deadline_that_cannot_be_met(fleet: RunningFleet, http: httpx.Client, path: str):
    service = next((service for service, own in PATHS.items() if own == path), "proxy")
    fresh = good_files(service)
    field = "person" if "person" in fresh else "image"
    marked = photo().copy()
    marked[:8, :8] = np.frombuffer(path.encode().ljust(192, b"x")[:192], np.uint8).reshape(8, 8, 3)
    files = fresh | {field: ("me.png", png(marked))}
    refused(http.post(fleet.proxy + path, files=files, headers={"X-Deadline-Ms": "1"}), "deadline_exceeded")
    refused(http.post(fleet.proxy + path, files=files, headers={"X-Deadline-Ms": "soon"}), "invalid_request")
