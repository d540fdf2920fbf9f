from __future__ import annotations

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from infra.serving import problems
from infra.serving.problems import CODES, MEDIA_TYPE, Problem
from tests.asgi import AppClient

STATUSES = {
    "bad_image": 400,
    "unauthorized": 401,
    "not_found": 404,
    "image_too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "no_person": 422,
    "no_garment": 422,
    "internal": 500,
    "upstream_failed": 502,
    "overloaded": 503,
    "engine_unavailable": 503,
    "deadline_exceeded": 504,
}


def client() -> AppClient:
    app = FastAPI()
    problems.install(app)

    @app.get("/problem")
    async def problem() -> None:
        raise Problem("upstream_failed", "masking broke", service="masking", retry_after=3)

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    return AppClient(app)


def test_the_list_of_codes_and_their_statuses_is_closed():
    assert {code: status for code, (status, _) in CODES.items()} == STATUSES
    assert problems.SCHEMA["properties"]["code"]["enum"] == list(STATUSES)


@pytest.mark.parametrize("code", CODES)
def test_a_problem_holds_the_members_of_rfc_9457_and_its_code(code: str):
    body = Problem(code, "what was wrong").body()
    assert set(problems.SCHEMA["required"]) == {"type", "title", "status", "detail", "code"} == set(body)
    assert body["type"].startswith("urn:") and body["title"] and body["detail"] == "what was wrong"
    assert (body["status"], body["code"]) == (STATUSES[code], code)


def test_extra_members_and_retry_after_reach_the_client():
    answer = client().get("/problem")
    assert answer.status_code == 502 and answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["service"] == "masking" and answer.headers["retry-after"] == "3"


def test_no_such_address_is_not_found_and_says_where_to_look():
    answer = client().get("/nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "/nowhere" in answer.json()["detail"] and "/docs" in answer.json()["detail"]


def test_a_wrong_method_names_the_right_one():
    answer = client().request("PUT", "/problem")
    assert (answer.status_code, answer.json()["code"]) == (405, "invalid_request")
    assert answer.headers["allow"] == "GET" and "GET" in answer.json()["detail"]


def test_errors_of_the_framework_are_problems_too():
    answer = client().get("/teapot")
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["status"] == answer.status_code == 418


def test_codes_of_one_status_share_an_entry_in_the_openapi_document():
    described = problems.describe("no_person", "no_garment", "internal")
    assert set(described) == {422, 500}
    assert "no_person" in described[422]["description"] and "no_garment" in described[422]["description"]
