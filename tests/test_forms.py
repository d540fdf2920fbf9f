from __future__ import annotations

from typing import Literal

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, Request
from pydantic import Field

from infra.preprocess.masking.mask import MaskInput
from infra.serving import arrays, problems
from infra.serving.context import RequestShell
from infra.serving.forms import OptionalUpload, RequestForm, Upload, read_form, read_record, request_body
from infra.serving.metrics import Metrics
from infra.serving.settings import Settings
from tests.asgi import AppClient

LIMIT = 100_000


class PhotoForm(RequestForm):
    image: Upload = Field(description="A photo.")
    second: OptionalUpload = None
    size: Literal["small", "large"] = "small"


@pytest.fixture
def client() -> AppClient:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestShell, settings=Settings(_env_file=None), metrics=Metrics())

    @app.post("/form")
    async def form(request: Request) -> dict[str, object]:
        got = await read_form(request, PhotoForm, LIMIT)
        return {"image": len(got.image), "second": None if got.second is None else len(got.second), "size": got.size}

    @app.post("/record")
    async def record(request: Request) -> dict[str, object]:
        got = await read_record(request, MaskInput, LIMIT, only="picture")
        return {"shape": got.picture.shape, "subject": got.subject}

    return AppClient(app)


def detail(answer, code: str) -> str:
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert (answer.status_code, answer.json()["code"]) == (problems.CODES[code][0], code)
    return answer.json()["detail"]


def test_files_and_fields_arrive(client: AppClient):
    answer = client.post("/form", files={"image": b"12345"}, data={"size": "large"})
    assert answer.json() == {"image": 5, "second": None, "size": "large"}
    answer = client.post("/form", files={"image": b"12345", "second": b""})
    assert answer.json() == {"image": 5, "second": 0, "size": "small"}


def test_what_is_wrong_with_the_fields_is_said(client: AppClient):
    files = {"image": b"12345"}
    assert "'image' is missing" in detail(client.post("/form", files={"second": b"1"}), "invalid_request")
    said = detail(client.post("/form", files=files, data={"colour": "red"}), "invalid_request")
    assert "no field 'colour'" in said and "image, second, size" in said
    said = detail(client.post("/form", files=files, data={"size": "huge"}), "invalid_request")
    assert "size" in said and "'small' or 'large'" in said and "huge" not in said


def test_a_field_that_comes_twice_is_refused(client: AppClient):
    answer = client.post("/form", files=[("image", b"1"), ("image", b"2")])
    assert "'image' is there more than once" in detail(answer, "invalid_request")


def test_text_where_a_file_belongs_says_how_curl_sends_one(client: AppClient):
    answer = client.post("/form", files={"second": b"1"}, data={"image": "me.jpg"})
    assert "-F image=@file.jpg" in detail(answer, "invalid_request")
    answer = client.post("/form", files={"image": b"1"}, data={"second": "me.jpg"})
    assert "-F second=@file.jpg" in detail(answer, "invalid_request")


def test_a_file_where_a_word_belongs_is_refused(client: AppClient):
    answer = client.post("/form", files={"image": b"1", "size": b"small\xff\xfe"})
    assert "size" in detail(answer, "invalid_request")


@pytest.mark.parametrize("content_type", ["", "image/jpeg", "application/json", "application/x-www-form-urlencoded"])
def test_other_media_types_are_told_which_are_spoken(client: AppClient, content_type: str):
    answer = client.post("/form", content=b"image=1", headers={"content-type": content_type} if content_type else {})
    assert "multipart/form-data" in detail(answer, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"no boundary at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: image/png\r\n\r\nnameless\r\n--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n1\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=\u00e9".encode("latin-1"), b"--x--"),
    ],
)
def test_broken_multipart_is_no_failure_of_ours(client: AppClient, content_type: str, body: bytes):
    detail(client.post("/form", content=body, headers={"content-type": content_type}), "invalid_request")


def test_a_truncated_form_is_refused(client: AppClient):
    whole = httpx.Request("POST", "http://app/form", files={"image": bytes(2000)})
    headers = {"content-type": whole.headers["content-type"]}
    detail(client.post("/form", content=whole.read()[:1000], headers=headers), "invalid_request")


def test_too_many_parts_are_refused(client: AppClient):
    many = [("image", b"1")] + [(f"file{n}", b"1") for n in range(40)]
    detail(client.post("/form", files=many), "invalid_request")
    detail(client.post("/form", files={"image": b"1"}, data={f"field{n}": "1" for n in range(40)}), "invalid_request")


def test_a_body_over_the_limit_is_refused_however_it_comes(client: AppClient):
    assert "MiB" in detail(client.post("/form", files={"image": bytes(LIMIT)}), "image_too_large")

    async def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="me.jpg"\r\n\r\n'
        for _ in range(20):
            yield bytes(LIMIT // 10)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    detail(client.post("/form", content=chunks(), headers=headers), "image_too_large")


def test_records_come_as_one_array_or_as_several(client: AppClient):
    picture = np.zeros((4, 5, 3), np.uint8)
    answer = client.post("/record", content=arrays.encode_array(picture), headers={"content-type": arrays.NPY})
    assert answer.json() == {"shape": [4, 5, 3], "subject": "person"}
    body = arrays.encode(MaskInput(picture, "garment"))
    answer = client.post("/record", content=body, headers={"content-type": arrays.NPZ})
    assert answer.json()["subject"] == "garment"


def test_wrong_arrays_are_the_sender_s_fault(client: AppClient):
    answer = client.post(
        "/record", content=arrays.encode_array(np.zeros((4, 5, 3))), headers={"content-type": arrays.NPY}
    )
    assert "picture must be uint8 HxWx3, got float64 4x5x3" in detail(answer, "invalid_request")


def test_the_openapi_body_names_every_field_and_what_files_may_be():
    content = request_body(PhotoForm, MaskInput, only="picture")["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", arrays.NPY, arrays.NPZ}
    form = content["multipart/form-data"]
    assert form["schema"]["required"] == ["image"] and form["schema"]["additionalProperties"] is False
    assert form["schema"]["properties"]["image"]["format"] == "binary"
    assert form["encoding"]["image"]["contentType"] == form["encoding"]["second"]["contentType"]
    assert "image/jpeg" in form["encoding"]["image"]["contentType"] and "size" not in form["encoding"]
