"""What people and attackers send, over real sockets: the documented code each time, and the service goes on."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from infra.preprocess.masking.mask import MaskInput
from infra.serving import arrays
from infra.serving.arrays import NPY, NPZ
from tests import pictures
from tests.calls import PATHS, garment, good_files, opened, overlap, photo, refused, shrunk, small_photo, try_on_files
from tests.fleet import ROOT, RunningFleet
from tests.pictures import BAD, bomb_png, jpeg, png

# Every field that takes a picture: service or proxy, path, field
DOORS = [
    *((service, PATHS[service], "image") for service in ("masking", "human_parser", "pose_estimation", "densepose")),
    *(("viton", PATHS["viton"], field) for field in ("person", "mask", "parse", "garment", "garment_mask")),
    *(("proxy", "/v1/tryon", field) for field in ("person", "garment")),
    ("proxy", "/v1/inputs", "person"),
]
BODY_LIMIT = 25 * 2**20  # the fleet runs with the default settings


def post(fleet: RunningFleet, http: httpx.Client, service: str, path: str | None = None, **request) -> httpx.Response:
    return http.post(fleet.urls[service] + (path or PATHS[service]), **request)


@pytest.mark.parametrize("name", BAD)
def test_pictures_that_are_none(fleet: RunningFleet, http: httpx.Client, name: str):
    data, code = BAD[name]
    for service, path, field in DOORS:
        files = good_files(service) | {field: (f"{name}.jpg", data)}
        detail = refused(post(fleet, http, service, path, files=files), code)
        assert detail.startswith(f"{field}: "), (service, detail)


def test_after_all_that_everybody_is_ready(fleet: RunningFleet, http: httpx.Client):
    for url in fleet.urls.values():
        assert http.get(f"{url}/readyz").status_code == 200
    assert post(fleet, http, "pose_estimation", files=good_files("pose_estimation")).status_code == 200


def test_more_pixels_than_the_limit_are_refused_from_the_header(fleet: RunningFleet, http: httpx.Client):
    for service, path, field in DOORS:
        files = good_files(service) | {field: ("large.png", bomb_png(7072))}
        detail = refused(post(fleet, http, service, path, files=files), "image_too_large")
        assert "7072 x 7072" in detail and "50.0 million" in detail


ODD = pictures.odd_pictures(small_photo())
del ODD["one_bit_png"]  # decodes, but at this size nobody is recognised in black and white dots


@pytest.mark.parametrize("name", ODD)
def test_odd_files_of_a_person_work(fleet: RunningFleet, http: httpx.Client, name: str):
    answer = post(fleet, http, "pose_estimation", files={"image": ("me", ODD[name])})
    assert answer.status_code == 200, answer.text
    (person,) = answer.json()["people"]
    nose, neck = np.reshape(person["pose_keypoints_2d"], (-1, 3))[:2]
    # Where the nose and the neck of the sample are, whatever way up the file is stored
    np.testing.assert_allclose(nose[:2], (156, 83), atol=12)
    np.testing.assert_allclose(neck[:2], (150, 150), atol=15)


@pytest.fixture(scope="module")
def plain_mask(fleet: RunningFleet, http: httpx.Client) -> np.ndarray:
    return opened(post(fleet, http, "masking", files={"image": ("me", ODD["png"])})) > 127


@pytest.mark.parametrize(
    "name", ["cmyk_jpeg", "rgb16_png", "grey_png", "palette_png", "animated_gif", "icc_tagged", "exif_rotated_6"]
)
def test_odd_files_have_the_mask_of_the_plain_one(
    fleet: RunningFleet, http: httpx.Client, plain_mask: np.ndarray, name: str
):
    answer = post(fleet, http, "masking", files={"image": ("me", ODD[name])})
    assert overlap(opened(answer) > 127, plain_mask) > 0.9


@pytest.mark.parametrize("service", [*PATHS, "proxy"])
def test_fields_that_do_not_fit(fleet: RunningFleet, http: httpx.Client, service: str):
    path = PATHS.get(service, "/v1/tryon")
    files = good_files(service)
    first, *_ = files

    def asked(**request: object) -> str:
        return refused(post(fleet, http, service, path, **request), "invalid_request")

    others = {name: files[name] for name in files if name != first}
    assert f"{first!r} is missing" in asked(files={"other": b"1"} | others)
    assert "no field 'colour'" in asked(files=files, data={"colour": "red"})
    assert "more than once" in asked(files=[*files.items(), (first, files[first])])
    assert f"-F {first}=@file.jpg" in asked(files={"other": b"1"} | others, data={first: "me.jpg"})


@pytest.mark.parametrize(
    ("service", "path", "field"),
    [
        ("masking", "/v1/mask", "subject"),
        ("human_parser", "/v1/parse", "labels"),
        ("pose_estimation", "/v1/pose", "points"),
        ("densepose", "/v1/densepose", "picture"),
        ("viton", "/v1/synthesize", "kind"),
        ("viton", "/v1/synthesize", "view"),
        ("proxy", "/v1/tryon", "kind"),
        ("proxy", "/v1/tryon", "output"),
        ("proxy", "/v1/inputs", "kind"),
    ],
)
def test_words_that_are_not_offered(fleet: RunningFleet, http: httpx.Client, service: str, path: str, field: str):
    answer = post(fleet, http, service, path, files=good_files(service), data={field: "nonsense"})
    detail = refused(answer, "invalid_request")
    assert field in detail and "nonsense" not in detail


@pytest.mark.parametrize("service", [*PATHS, "proxy"])
@pytest.mark.parametrize("content_type", ["application/json", "image/jpeg", "application/x-www-form-urlencoded", ""])
def test_bodies_of_another_type(fleet: RunningFleet, http: httpx.Client, service: str, content_type: str):
    headers = {"Content-Type": content_type} if content_type else {}
    path = PATHS.get(service, "/v1/tryon")
    answer = post(fleet, http, service, path, content=b'{"image": 1}', headers=headers)
    assert "multipart/form-data" in refused(answer, "unsupported_media_type")


@pytest.mark.parametrize("service", [*PATHS, "proxy"])
def test_no_body_at_all(fleet: RunningFleet, http: httpx.Client, service: str):
    path = PATHS.get(service, "/v1/tryon")
    refused(post(fleet, http, service, path), "unsupported_media_type")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(post(fleet, http, service, path, headers=headers), "invalid_request")


def raw_answer(url: str, request: bytes, chunks: Iterator[bytes]) -> bytes:
    """What a server says to a request that may be cut off while it is being sent."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for chunk in chunks:
                connection.sendall(chunk)
        answer = b""
        while not answer.endswith(b"}"):
            answer += (received := connection.recv(65536))
            assert received, answer
        return answer


HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n%s\r\n\r\n"


@pytest.mark.parametrize("service", ["masking", "proxy"])
def test_a_body_over_the_limit_is_refused_before_it_is_sent(fleet: RunningFleet, service: str):
    path = PATHS.get(service, "/v1/tryon").encode()
    head = HEAD % (path, b"Content-Length: %d" % (BODY_LIMIT + 1))
    answer = raw_answer(fleet.urls[service], head, iter(()))
    assert answer.startswith(b"HTTP/1.1 413 ") and b"image_too_large" in answer and b"25 MiB" in answer


@pytest.mark.parametrize("service", ["masking", "proxy"])
def test_a_chunked_body_over_the_limit_is_refused_on_the_way(fleet: RunningFleet, service: str):
    path = PATHS.get(service, "/v1/tryon").encode()
    begin = b'--x\r\nContent-Disposition: form-data; name="image"; filename="me.jpg"\r\n\r\n'
    chunks = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [begin, *[bytes(2**20)] * 26])
    answer = raw_answer(fleet.urls[service], HEAD % (path, b"Transfer-Encoding: chunked"), chunks)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"image_too_large" in answer


def test_a_client_that_goes_away_in_the_middle_does_no_harm(fleet: RunningFleet, http: httpx.Client):
    address = urlsplit(fleet.urls["masking"])
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(HEAD % (b"/v1/mask", b"Content-Length: 1000") + b"--x\r\n")
    assert http.get(f"{fleet.urls['masking']}/readyz").status_code == 200


@pytest.mark.parametrize(
    ("service", "path", "field", "code"),
    [
        ("masking", "/v1/mask", "image", "no_person"),
        ("human_parser", "/v1/parse", "image", "no_person"),
        ("pose_estimation", "/v1/pose", "image", "no_person"),
        ("densepose", "/v1/densepose", "image", "no_person"),
        ("proxy", "/v1/tryon", "person", "no_person"),
        ("proxy", "/v1/inputs", "person", "no_person"),
        ("proxy", "/v1/tryon", "garment", "no_garment"),
    ],
)
@pytest.mark.parametrize("what", ["noise", "plain"])
def test_pictures_without_what_they_should_show(
    fleet: RunningFleet, http: httpx.Client, service: str, path: str, field: str, code: str, what: str
):
    noise = np.random.default_rng(4).integers(0, 255, (400, 300, 3), np.uint8)
    picture = noise if what == "noise" else np.full((400, 300, 3), 200, np.uint8)
    files = good_files(service) | {field: ("nobody.png", png(picture))}
    refused(post(fleet, http, service, path, files=files), code)


@pytest.mark.parametrize("service", ["masking", "human_parser", "pose_estimation", "densepose"])
def test_a_garment_is_no_person(fleet: RunningFleet, http: httpx.Client, service: str):
    refused(post(fleet, http, service, files={"image": ("shirt.jpg", jpeg(garment()))}), "no_person")


def test_an_empty_try_on_mask_is_answered_with_a_problem_or_a_picture(fleet: RunningFleet, http: httpx.Client):
    """Nothing of the person, nothing of the garment, nobody in the pose: never a failure of ours."""
    nothing = png(np.zeros((1024, 768), np.uint8))
    files = good_files("viton")
    refused(post(fleet, http, "viton", files=files | {"garment_mask": ("none.png", nothing)}), "no_garment")
    nobody = b'{"version": 1.3, "people": []}'
    refused(post(fleet, http, "viton", files=files | {"pose": ("pose.json", nobody)}), "no_person")
    for field in ("mask", "parse"):
        answer = post(fleet, http, "viton", files=files | {field: ("none.png", nothing)})
        assert answer.status_code == 200 or refused(answer, "no_person")


@pytest.mark.parametrize(
    ("field", "data", "said"),
    [
        ("pose", b"not json", "pose"),
        ("pose", b"\xff\xfe\x00", "pose"),
        ("pose", b"[]", "pose"),
        ("pose", b'{"people": [{"pose_keypoints_2d": [1, 2]}]}', "pose"),
        ("pose", b'{"people": [{"pose_keypoints_2d": [%s]}]}' % b",".join([b"NaN"] * 75), "pose"),
        ("pose", b'{"people": [{"pose_keypoints_2d": [%s]}]}' % b",".join([b"1e999"] * 75), "pose"),
        ("pose", b'{"people": [{"pose_keypoints_2d": [1, 1, 1], "hand_left_keypoints_2d": [1]}]}', "pose"),
        ("pose", b"[" * 100_000, "pose"),
        ("mask", png(np.zeros((100, 100), np.uint8)), "mask is 100x100, but person is 768x1024"),
        ("parse", png(np.zeros((100, 100), np.uint8)), "parse is 100x100"),
        ("parse", png(np.full((1024, 768), 99, np.uint8)), "parse"),
        ("garment_mask", png(np.zeros((100, 100), np.uint8)), "garment_mask is 100x100"),
    ],
)
def test_try_on_inputs_that_do_not_fit_together(
    fleet: RunningFleet, http: httpx.Client, field: str, data: bytes, said: str
):
    answer = post(fleet, http, "viton", files=good_files("viton") | {field: ("file", data)})
    assert said in refused(answer, "invalid_request")


def test_points_far_outside_the_picture_are_unknown_ones(fleet: RunningFleet, http: httpx.Client):
    far = b'{"people": [{"pose_keypoints_2d": [%s]}]}' % b",".join([b"1e30"] * 75)
    refused(post(fleet, http, "viton", files=good_files("viton") | {"pose": ("pose.json", far)}), "no_person")


def test_an_empty_densepose_file_is_no_picture(fleet: RunningFleet, http: httpx.Client):
    refused(post(fleet, http, "viton", files=try_on_files() | {"densepose": ("iuv.png", b"")}), "bad_image")


def npz(**named: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **named)
    return out.getvalue()


def compressed() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, picture=np.zeros((4000, 4000, 3), np.uint8))
    return out.getvalue()


def pickled() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        member = io.BytesIO()
        np.lib.format.write_array(member, np.array([print], object), allow_pickle=True)
        archive.writestr("picture.npy", member.getvalue())
    return out.getvalue()


def promising() -> bytes:
    """A header that promises a terabyte."""
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }"
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("picture.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    return out.getvalue()


SMALL = np.zeros((40, 30, 3), np.uint8)

HOSTILE = {
    "empty": b"",
    "noise": np.random.default_rng(1).bytes(2000),
    "pickled": pickled(),
    "promising": promising(),
    "compressed": compressed(),
    "truncated": arrays.encode(MaskInput(SMALL))[:-200],
    "nothing": npz(),
    "unknown_array": npz(picture=SMALL, colour=SMALL),
    "float": npz(picture=SMALL.astype(np.float64)),
    "big_endian": npz(picture=SMALL.astype(">u2")),
    "grey": npz(picture=SMALL[..., 0]),
    "four_channels": npz(picture=np.zeros((40, 30, 4), np.uint8)),
    "no_pixels": npz(picture=SMALL[:0]),
    "text": npz(picture=np.array("picture")),
    "times": npz(picture=np.zeros((40, 30, 3), "M8[s]")),
    "half_a_pose": npz(picture=SMALL, **{"pose.people": np.zeros((1, 25, 3), np.float32)}),
    "nan_pose": npz(
        picture=SMALL,
        **{
            "pose.people": np.full((1, 25, 3), np.nan, np.float32),
            "pose.hands": np.zeros((1, 2, 21, 3), np.float32),
            "pose.view": np.array("front"),
        },
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arrays(fleet: RunningFleet, http: httpx.Client, name: str):
    for service in PATHS:
        refused(post(fleet, http, service, content=HOSTILE[name], headers={"Content-Type": NPZ}), "invalid_request")


def test_hostile_single_arrays(fleet: RunningFleet, http: httpx.Client):
    for service in PATHS:
        for array in (SMALL.astype(np.float32), SMALL[..., 0], np.array(1, np.uint8)):
            body = arrays.encode_array(array)
            refused(post(fleet, http, service, content=body, headers={"Content-Type": NPY}), "invalid_request")


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4000, 3), (4000, 1, 3), (7, 5, 3)])
def test_arrays_of_extreme_shapes_are_refused_or_answered(fleet: RunningFleet, http: httpx.Client, shape):
    body = arrays.encode_array(np.full(shape, 128, np.uint8))
    for service in ("masking", "human_parser", "pose_estimation", "densepose"):
        answer = post(fleet, http, service, content=body, headers={"Content-Type": NPY})
        assert answer.status_code in (200, 422), (service, answer.text)


def test_words_in_records_are_checked(fleet: RunningFleet, http: httpx.Client):
    body = arrays.encode(MaskInput(small_photo(), "nonsense"))
    answer = post(fleet, http, "masking", content=body, headers={"Content-Type": NPZ})
    assert "subject" in refused(answer, "invalid_request")


def test_two_requests_with_the_same_id_at_the_same_time(fleet: RunningFleet, http: httpx.Client):
    together = threading.Barrier(2)

    def ask(picture: bytes) -> httpx.Response:
        together.wait()
        return post(
            fleet, http, "pose_estimation", files={"image": ("me", picture)}, headers={"X-Request-ID": "the-same"}
        )

    sizes = (400, 600)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, [png(shrunk(photo(), height)) for height in sizes]))
    for answer, height in zip(answers, sizes):
        assert answer.status_code == 200 and answer.headers["x-request-id"] == "the-same"
        neck = answer.json()["people"][0]["pose_keypoints_2d"][3:5]
        np.testing.assert_allclose(neck, np.multiply((384, 384), height / 1024), atol=15)


def test_more_requests_than_the_queue_holds_are_told_to_come_again(fleet: RunningFleet, http: httpx.Client):
    body = arrays.encode_array(small_photo())

    def ask(_: int) -> httpx.Response:
        return post(fleet, http, "pose_estimation", content=body, headers={"Content-Type": NPY, "Accept": NPY})

    with ThreadPoolExecutor(60) as pool:  # one runs, 32 wait
        answers = list(pool.map(ask, range(60)))
    assert sum(answer.status_code == 200 for answer in answers) >= 33
    turned_away = [answer for answer in answers if answer.status_code != 200]
    assert turned_away
    for answer in turned_away:
        assert "32 requests are waiting" in refused(answer, "overloaded") and answer.headers["retry-after"] == "1"
    assert ask(0).status_code == 200


def test_an_engine_that_does_not_exist_fails_at_start_with_the_names_of_those_that_do():
    env = os.environ | {"EVERYWEAR_MASKING_ENGINE": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "masking:app", "--port", "0"], cwd=ROOT, env=env, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "EVERYWEAR_MASKING_ENGINE=nonsense" in done.stderr and "auto or one of tracer_b7, embedded" in done.stderr
