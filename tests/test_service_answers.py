"""The right answers of each service alone, over real sockets, in every media type that it speaks."""

from __future__ import annotations

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from infra.preprocess.densepose import parts
from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.pose_estimation.keypoints import BODY_25, COCO_18
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving import arrays
from infra.serving.arrays import NPY, NPZ
from infra.serving.timing import durations
from infra.viton.tryon import TryOn, TryOnInput
from tests.calls import (
    GARMENT,
    PATHS,
    PERSON,
    garment,
    good_files,
    opened,
    overlap,
    photo,
    small_photo,
    true_pose,
    try_on_files,
)
from tests.conftest import SAMPLES, read_grey
from tests.fleet import RunningFleet
from tests.pictures import jpeg, png

TRUTH = SAMPLES / "truth"


class Service:
    """Calls of one service."""

    def __init__(self, fleet: RunningFleet, http: httpx.Client, name: str) -> None:
        self._http, self._url = http, fleet.urls[name] + PATHS[name]

    def form(self, image: bytes, accept: str = "*/*", **fields: str) -> httpx.Response:
        return self.post(files={"image": ("photo.jpg", image)}, data=fields, headers={"Accept": accept})

    def arrays(self, record: object, accept: str = NPZ) -> httpx.Response:
        headers = {"Accept": accept, "Content-Type": NPZ}
        return self.post(content=arrays.encode(record), headers=headers)

    def array(self, array: np.ndarray, accept: str = NPY) -> httpx.Response:
        headers = {"Accept": accept, "Content-Type": NPY}
        return self.post(content=arrays.encode_array(array), headers=headers)

    def post(self, **request: object) -> httpx.Response:
        return self._http.post(self._url, **request)


@pytest.fixture
def service(request: pytest.FixtureRequest, fleet: RunningFleet, http: httpx.Client) -> Service:
    return Service(fleet, http, request.param)


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("service", [name], indirect=True, ids=[""])


def taken(answer: httpx.Response, media_type: str, engine: str, *steps: str) -> None:
    """What every good answer of an engine's service has."""
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-engine"] == engine and answer.headers["x-request-id"]
    spent = durations(answer.headers["server-timing"])
    assert {"queue", "infer", *steps} <= set(spent) and spent["infer"] > 0


def one_array(answer: httpx.Response) -> np.ndarray:
    return arrays.decode_array(answer.content)


@of("masking")
def test_mask_of_a_person(service: Service):
    answer = service.form(jpeg(photo()))
    taken(answer, "image/png", "embedded", "decode", "encode")
    alpha = opened(answer)
    truth = read_grey(TRUTH / f"{PERSON}_alpha.png")
    assert alpha.dtype == np.uint8 and alpha.shape == truth.shape
    assert overlap(alpha > 127, truth > 127) > 0.97


@of("masking")
def test_mask_as_json(service: Service):
    answer = service.form(png(small_photo()), "application/json")
    taken(answer, "application/json", "embedded", "decode")
    said = answer.json()
    assert (said["width"], said["height"]) == (300, 400) and 0.1 < said["coverage"] < 0.6
    left, top, right, bottom = said["box"]
    assert 0 <= left < 150 < right <= 300 and 0 <= top < 100 < 300 < bottom <= 400


@of("masking")
def test_mask_of_a_garment_and_its_kind(service: Service):
    truth = read_grey(SAMPLES / "garment_truth" / f"{GARMENT}_alpha.png")
    answer = service.form(jpeg(garment()), NPZ, subject="garment")
    taken(answer, NPZ, "embedded", "decode")
    mask = arrays.decode(Mask, answer.content)
    assert overlap(mask.alpha > 127, truth > 127) > 0.95
    assert mask.kinds is not None and mask.kinds.sum() == pytest.approx(1, abs=1e-5) and not mask.worn
    said = service.form(jpeg(garment("jeans")), "application/json", subject="garment").json()
    assert said["kind"] == "lower" and said["worn"] is False and set(said["kinds"]) == {"upper", "lower", "dress"}


@of("masking")
def test_mask_of_arrays_is_the_mask_of_the_picture(service: Service):
    picture = small_photo()
    alone = service.array(picture)
    taken(alone, NPY, "embedded")
    pose = Pose(true_pose()[0] * (300 / 768, 400 / 1024, 1), true_pose()[1], "front")
    told = service.arrays(MaskInput(picture, "person", Pose(pose.people.astype(np.float32), pose.hands, "front")))
    taken(told, NPZ, "embedded")
    assert overlap(one_array(alone) > 127, arrays.decode(Mask, told.content).alpha > 127) > 0.9


@of("human_parser")
def test_parse_of_a_person(service: Service):
    answer = service.form(jpeg(photo()))
    taken(answer, "image/png", "multiclass", "decode", "encode", "pose_estimation", "masking")
    assert Image.open(io.BytesIO(answer.content)).mode == "P"
    labels, truth = opened(answer), np.asarray(Image.open(TRUTH / f"{PERSON}_parse.png"))
    assert labels.shape == truth.shape and labels.max() < 20
    for label in (0, 2, 5, 9):  # ground, hair, upper clothes, trousers
        assert overlap(labels == label, truth == label) > 0.85, label


@of("human_parser")
@pytest.mark.parametrize(("labels", "hair"), [("cihp", 2), ("lip", 2), ("atr", 2), ("pascal", 1)])
def test_parse_speaks_the_label_set_that_is_asked_for(service: Service, labels: str, hair: int):
    said = service.form(png(small_photo()), "application/json", labels=labels).json()
    assert said["labels"] == labels and (said["width"], said["height"]) == (300, 400)
    assert sum(each["share"] for each in said["present"]) == pytest.approx(1, abs=1e-4)
    names = {each["id"]: each["name"].lower() for each in said["present"]}
    assert ("head" if labels == "pascal" else "hair") in names[hair]


@of("human_parser")
def test_parse_of_arrays(service: Service):
    alone = service.array(small_photo())
    taken(alone, NPY, "multiclass")
    mask = np.asarray(Image.fromarray(read_grey(TRUTH / f"{PERSON}_alpha.png")).resize((300, 400)))
    told = service.arrays(ParseInput(small_photo(), mask=Mask(mask)))
    taken(told, NPZ, "multiclass")
    parse = arrays.decode(Parse, told.content)
    assert parse.labels.shape == parse.confidence.shape == one_array(alone).shape == (400, 300)
    assert overlap(parse.labels == 5, one_array(alone) == 5) > 0.8


@of("pose_estimation")
@pytest.mark.parametrize(("points", "names"), [("body_25", BODY_25), ("coco_18", COCO_18)])
def test_pose_as_openpose_writes_it(service: Service, points: str, names: tuple[str, ...]):
    answer = service.form(jpeg(photo()), points=points)
    taken(answer, "application/json", "blazepose", "decode")
    assert answer.headers["x-view"] == "front"
    (person,) = answer.json()["people"]
    found = np.reshape(person["pose_keypoints_2d"], (-1, 3))
    assert len(found) == len(names)
    truth = true_pose()[0][0][[BODY_25.index(name) for name in names]]
    torso = np.linalg.norm(truth[names.index("neck"), :2] - true_pose()[0][0][BODY_25.index("mid_hip"), :2])
    both = (found[:, 2] > 0) & (truth[:, 2] > 0)
    off = np.linalg.norm(found[both, :2] - truth[both, :2], axis=1) / torso
    assert both.sum() >= 14 and off.mean() < 0.06


@of("pose_estimation")
def test_pose_as_picture_and_as_arrays(service: Service):
    drawn = service.form(png(small_photo()), "image/png")
    taken(drawn, "image/png", "blazepose", "decode", "encode")
    picture = opened(drawn)
    assert picture.shape == (400, 300, 3) and 0.01 < (picture.max(2) > 0).mean() < 0.3
    people = one_array(service.array(small_photo()))
    assert people.dtype == np.float32 and people.shape == (1, 25, 3)
    answer = service.arrays(PoseInput(small_photo(), np.array([150, 200], np.float32)))
    taken(answer, NPZ, "blazepose")
    pose = arrays.decode(Pose, answer.content)
    np.testing.assert_allclose(pose.people, people, atol=3)
    assert pose.view == "front" and pose.hands.shape == (1, 2, 21, 3)


@of("densepose")
def test_densepose_of_a_person(service: Service):
    answer = service.form(jpeg(photo()), picture="iuv")
    taken(answer, "image/png", "skeleton", "decode", "encode", "pose_estimation", "masking")
    iuv, truth = opened(answer), read_grey(TRUTH / f"{PERSON}_part.png")
    assert iuv.shape == (*truth.shape, 3) and iuv[..., 0].max() <= 24
    assert overlap(iuv[..., 0] > 0, truth > 0) > 0.8
    assert not iuv[iuv[..., 0] == 0].any()


@of("densepose")
def test_densepose_in_colours_json_and_arrays(service: Service):
    coloured = opened(service.form(png(small_photo())))
    iuv = one_array(service.form(png(small_photo()), NPY))
    np.testing.assert_array_equal(coloured, parts.part_picture(iuv))
    said = service.form(png(small_photo()), "application/json").json()
    assert {each["id"] for each in said["present"]} == set(np.unique(iuv[..., 0])) - {0}
    answer = service.arrays(DensePoseInput(small_photo()))
    taken(answer, NPZ, "skeleton")
    assert arrays.decode(DensePose, answer.content).iuv.shape == (400, 300, 3)
    assert one_array(service.array(small_photo())).shape == (400, 300, 3)


@pytest.fixture(scope="module")
def try_on_input() -> TryOnInput:
    files = {name: data for name, (_, data) in try_on_files().items()}
    people, hands = true_pose()
    return TryOnInput(
        person=photo(),
        mask=np.asarray(Image.open(io.BytesIO(files["mask"]))),
        parse=np.asarray(Image.open(io.BytesIO(files["parse"]))),
        pose=Pose(people, hands, "front"),
        garment=garment(),
        garment_mask=np.asarray(Image.open(io.BytesIO(files["garment_mask"]))),
        kind="upper",
    )


def assert_dressed(picture: np.ndarray) -> None:
    """Changed where the shirt is, the same in face and ground."""
    change = np.abs(picture.astype(int) - photo()).max(2)
    parse = np.asarray(Image.open(TRUTH / f"{PERSON}_parse.png"))
    assert (change[parse == 5] > 20).mean() > 0.5
    assert (change[:200] == 0).all() and (change[parse == 13] == 0).mean() > 0.9


@of("viton")
@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
def test_synthesize_from_files(service: Service, media_type: str):
    answer = service.post(files=try_on_files(), headers={"Accept": media_type})
    taken(answer, media_type, "geometric", "decode", "encode")
    picture = opened(answer)
    assert picture.shape == (1024, 768, 3)
    if media_type == "image/png":
        assert_dressed(picture)


@of("viton")
def test_synthesize_from_arrays(service: Service, try_on_input: TryOnInput):
    answer = service.arrays(try_on_input)
    taken(answer, NPZ, "geometric")
    result = arrays.decode(TryOn, answer.content)
    assert_dressed(result.picture)
    np.testing.assert_array_equal(one_array(service.arrays(try_on_input, NPY)), result.picture)


@of("viton")
def test_a_back_view_is_dressed_and_the_answer_says_so(service: Service):
    answer = service.post(files=try_on_files(), data={"view": "back"})
    assert answer.status_code == 200 and "from behind" in answer.headers["x-notes"]
    front = service.post(files=try_on_files(), data={"view": "front"})
    assert (opened(answer) != opened(front)).any() and "behind" not in front.headers.get("x-notes", "")


@pytest.mark.parametrize("name", PATHS)
def test_accept_that_nothing_fits_is_406(fleet: RunningFleet, http: httpx.Client, name: str):
    answer = http.post(fleet.urls[name] + PATHS[name], files=good_files(name), headers={"Accept": "video/mp4"})
    assert answer.status_code == 406 and "image/png" in answer.json()["detail"]
