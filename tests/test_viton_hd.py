from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from infra.imaging.frame import Frame
from infra.preprocess.densepose.densepose import DensePose
from infra.preprocess.human_parser.labels import voc_palette
from infra.preprocess.human_parser.parse import Parse
from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.pose import Pose
from infra.viton.inputs import GarmentInputs, PersonInputs
from infra.viton.viton_hd import GROUND, inputs_zip, laid_out
from tests.calls import true_pose, unzipped

SIZE = (1024, 768)


@pytest.fixture(scope="module")
def person() -> PersonInputs:
    labels = np.zeros(SIZE, np.uint8)
    labels[300:600, 200:500] = 5
    iuv = np.zeros((*SIZE, 3), np.uint8)
    iuv[300:600, 200:500] = (2, 100, 200)
    picture = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
    pose = Pose(*true_pose(), "front")
    frame = Frame.around(pose.extent(), SIZE)
    mask = Mask((labels > 0).astype(np.uint8) * 255)
    return PersonInputs(picture, frame, picture, pose, mask, Parse(labels, labels), DensePose(iuv))


@pytest.fixture(scope="module")
def garment() -> GarmentInputs:
    picture, alpha = np.full((500, 400, 3), 255, np.uint8), np.zeros((500, 400), np.uint8)
    picture[100:300, 150:250], alpha[100:300, 150:250] = (200, 0, 0), 255
    return GarmentInputs(picture, alpha, "upper", ())


def image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_files_of_a_person_and_a_garment(person: PersonInputs, garment: GarmentInputs):
    files = unzipped(inputs_zip(person, garment))
    wanted = {
        "image/person.jpg": "RGB",
        "mask/person.png": "L",
        "image-parse-v3/person.png": "P",
        "openpose_img/person_rendered.png": "RGB",
        "image-densepose/person.jpg": "RGB",
        "densepose-iuv/person.png": "RGB",
        "cloth/garment.jpg": "RGB",
        "cloth-mask/garment.jpg": "L",
    }
    assert set(files) == {*wanted, "openpose_json/person_keypoints.json", "test_pairs.txt"}
    assert {name: (image(files[name]).mode, image(files[name]).size) for name in wanted} == {
        name: (mode, (768, 1024)) for name, mode in wanted.items()
    }
    assert files["test_pairs.txt"] == b"person.jpg garment.jpg\n"


def test_lossless_files_hold_the_arrays_themselves(person: PersonInputs):
    files = unzipped(inputs_zip(person, None))
    parse = image(files["image-parse-v3/person.png"])
    np.testing.assert_array_equal(np.asarray(parse), person.parse.labels)
    assert parse.getpalette()[:60] == voc_palette()[:20].ravel().tolist()
    np.testing.assert_array_equal(np.asarray(image(files["densepose-iuv/person.png"])), person.densepose.iuv)
    np.testing.assert_array_equal(np.asarray(image(files["mask/person.png"])), person.mask.alpha)
    points = json.loads(files["openpose_json/person_keypoints.json"])["people"][0]["pose_keypoints_2d"]
    np.testing.assert_allclose(np.reshape(points, (25, 3)), person.pose.people[0], rtol=1e-4)


def test_a_person_alone_has_no_cloth_and_no_pair(person: PersonInputs):
    names = set(unzipped(inputs_zip(person, None)))
    assert not any("cloth" in name for name in names) and "test_pairs.txt" not in names


def test_a_garment_is_laid_in_the_middle_as_large_as_it_fits(garment: GarmentInputs):
    picture, mask = laid_out(garment.picture, garment.mask)
    rows, columns = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    top, bottom, left, right = rows[0], 1023 - rows[-1], columns[0], 767 - columns[-1]
    assert abs(top - bottom) <= 1 and abs(left - right) <= 1
    assert top == pytest.approx(0.04 * 1024, abs=2) and left > top  # twice as tall as wide: the height decides
    assert (picture[mask == 0] == GROUND).all()
    np.testing.assert_allclose(picture[512, 384], (200, 0, 0), atol=2)
