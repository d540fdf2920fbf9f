"""Good requests to every service, and what an error must look like."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache

import cv2
import httpx
import numpy as np
from PIL import Image

from infra.preprocess.pose_estimation.keypoints import BODY_25, openpose_json
from infra.serving.problems import CODES, MEDIA_TYPE
from tests.conftest import SAMPLES, read_grey, read_rgb
from tests.pictures import jpeg, png

PATHS = {
    "masking": "/v1/mask",
    "human_parser": "/v1/parse",
    "pose_estimation": "/v1/pose",
    "densepose": "/v1/densepose",
    "viton": "/v1/synthesize",
}

PERSON, GARMENT = "woman_tshirt_jeans", "tshirt_striped_print"

Files = dict[str, tuple[str, bytes]]


@cache
def photo(name: str = PERSON) -> np.ndarray:
    """uint8 1024x768x3 RGB, a sample person."""
    return read_rgb(SAMPLES / "person" / f"{name}.jpg")


@cache
def garment(name: str = GARMENT) -> np.ndarray:
    """uint8 1024x768x3 RGB, a sample garment."""
    return read_rgb(SAMPLES / "garment" / f"{name}.jpg")


def shrunk(picture: np.ndarray, height: int) -> np.ndarray:
    width = round(picture.shape[1] * height / picture.shape[0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


@cache
def small_photo() -> np.ndarray:
    """uint8 400x300x3: where size does not matter."""
    return shrunk(photo(), 400)


@cache
def true_pose(name: str = PERSON) -> tuple[np.ndarray, np.ndarray]:
    """People 1x25x3 and hands 1x2x21x3, float32, of a sample person: what can be seen of the truth, fully trusted."""
    points = json.loads((SAMPLES / "truth" / f"{name}_pose.json").read_text())["keypoints"]
    people = np.array([[points[point] for point in BODY_25]], np.float32)
    people[..., 2] = people[..., 2] > 0
    people[people[..., 2] == 0] = 0
    return people, np.zeros((1, 2, 21, 3), np.float32)


@cache
def try_on_files() -> Files:
    """Every file that `POST /v1/synthesize` needs, from the samples' truth."""
    truth, garments = SAMPLES / "truth", SAMPLES / "garment_truth"
    return {
        "person": ("person.jpg", (SAMPLES / "person" / f"{PERSON}.jpg").read_bytes()),
        "mask": ("mask.png", png(read_grey(truth / f"{PERSON}_alpha.png"))),
        "parse": ("parse.png", (truth / f"{PERSON}_parse.png").read_bytes()),
        "pose": ("pose.json", openpose_json(*true_pose()).encode()),
        "garment": ("garment.jpg", (SAMPLES / "garment" / f"{GARMENT}.jpg").read_bytes()),
        "garment_mask": ("garment_mask.png", png(read_grey(garments / f"{GARMENT}_alpha.png"))),
    }


def good_files(service: str) -> Files:
    """The files of a request that the service answers with 200."""
    if service == "viton":
        return dict(try_on_files())
    if service == "proxy":
        return {name: try_on_files()[name] for name in ("person", "garment")}
    return {"image": ("person.jpg", jpeg(small_photo()))}


def opened(answer: httpx.Response) -> np.ndarray:
    """The picture in an answer: HxWx3, or HxW for grey and palette pictures."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(answer: httpx.Response, code: str, status: int | None = None) -> str:
    """The detail of an answer that must be this problem."""
    assert answer.headers["content-type"] == MEDIA_TYPE, answer.text[:300]
    body = answer.json()
    assert body["code"] == code, body
    assert answer.status_code == body["status"] == (status or CODES[code][0])
    assert body["title"] == CODES[code][1] and body["type"] and body["detail"]
    assert "Traceback" not in answer.text
    return body["detail"]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boolean maps."""
    return float((a & b).sum() / max((a | b).sum(), 1))
