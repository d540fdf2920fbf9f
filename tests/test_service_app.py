"""A service whose engine is not ready, and one that browsers may call: apps of this process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from infra.engines import UnknownEngine
from infra.service_app import engine_app
from infra.serving.settings import Settings
from infra.weights import MissingWeights
from routers.pose_estimation import router
from tests.asgi import AppClient
from tests.calls import good_files, refused


def service(**settings: object) -> AppClient:
    """Pose estimation; its engine is loaded only where a test starts it."""
    return AppClient(engine_app("pose_estimation", "Finds people.", router, Settings(_env_file=None, **settings)))


def test_while_the_engine_loads_the_service_is_alive_but_not_ready():
    app = service()
    assert app.get("/healthz").status_code == 200
    waiting = app.get("/readyz")
    assert "loading" in refused(waiting, "engine_unavailable") and waiting.headers["retry-after"] == "2"
    assert app.get("/v1/info").json()["ready"] is False
    answer = app.post("/v1/pose", files=good_files("pose_estimation"))
    assert "loading" in refused(answer, "engine_unavailable") and answer.headers["retry-after"] == "2"


def test_without_weights_the_service_stays_up_and_says_how_to_get_them(tmp_path: Path):
    made = engine_app("pose_estimation", "", router, Settings(_env_file=None, weights=tmp_path))
    made.state.worker.start()
    deadline = time.monotonic() + 10
    while made.state.worker.failure is None and time.monotonic() < deadline:
        time.sleep(0.01)
    app = AppClient(made)
    assert "everywear weights fetch" in refused(app.get("/readyz"), "engine_unavailable")
    detail = refused(app.post("/v1/pose", files=good_files("pose_estimation")), "engine_unavailable")
    assert "everywear weights fetch" in detail


def test_an_engine_that_is_named_must_be_there(tmp_path: Path):
    with pytest.raises(UnknownEngine, match="EVERYWEAR_POSE_ESTIMATION_ENGINE=nonsense.*blazepose"):
        service(pose_estimation_engine="nonsense")
    with pytest.raises(MissingWeights, match="everywear weights fetch"):
        service(pose_estimation_engine="blazepose", weights=tmp_path)


def test_browsers_may_call_from_the_origins_that_are_named_and_no_others():
    app = service(cors_origins=["https://shop.example"])

    def preflight(origin: str) -> dict[str, str]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return app.request("OPTIONS", "/v1/pose", headers=headers).headers

    assert preflight("https://shop.example")["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in preflight("https://thief.example")
    answer = app.get("/healthz", headers={"Origin": "https://shop.example"})
    for name in ("X-Request-ID", "X-Notes", "X-Garment-Kind", "X-View"):
        assert name in answer.headers["access-control-expose-headers"]
    assert (
        "access-control-allow-origin"
        not in service().get("/healthz", headers={"Origin": "https://shop.example"}).headers
    )
