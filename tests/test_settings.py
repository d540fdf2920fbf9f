from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.serving.settings import SERVICES, Settings, settings


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variables and no .env file but those of the test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"EVERYWEAR_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_the_documented_ports_on_this_machine_alone():
    made = Settings()
    assert {service: made.url(service) for service in SERVICES} == {
        "masking": "http://127.0.0.1:8001",
        "human_parser": "http://127.0.0.1:8002",
        "pose_estimation": "http://127.0.0.1:8003",
        "densepose": "http://127.0.0.1:8004",
        "viton": "http://127.0.0.1:8005",
        "proxy": "http://127.0.0.1:8000",
    }
    assert made.host == "127.0.0.1"
    assert all(made.engine(service) == "auto" for service in SERVICES[:-1])


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch):
    Path(".env").write_text("EVERYWEAR_QUEUE=5\nEVERYWEAR_THREADS=3\n")
    monkeypatch.setenv("EVERYWEAR_QUEUE", "7")
    made = Settings()
    assert (made.queue, made.threads, made.deadline_ms) == (7, 3, 60_000)


def test_foreign_lines_in_the_file_do_no_harm():
    Path(".env").write_text("SHOP_SECRET=x\nEVERYWEAR_UNHEARD_OF=1\n")
    assert Settings().queue == 32


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", "-1"),
        ("queue", "0"),
        ("queue", "many"),
        ("max_upload_mb", "0"),
        ("max_megapixels", "0"),
        ("deadline_ms", "0"),
        ("cache_mb", "-1"),
        ("log_level", "loud"),
        ("blazepose_network", "huge"),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(f"EVERYWEAR_{name.upper()}", value)
    with pytest.raises(ValidationError, match=name):
        Settings()


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "http://", "ftp://x", "http://x:port", "http://x:8001/?a=b"])
def test_addresses_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("EVERYWEAR_VITON_URL", url)
    with pytest.raises(ValidationError, match="viton_url"):
        Settings()


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "https://shop.example/cart", ""])
def test_origins_that_no_browser_sends_are_refused(monkeypatch: pytest.MonkeyPatch, origin: str):
    monkeypatch.setenv("EVERYWEAR_CORS_ORIGINS", json.dumps(["https://ok.example:8443", origin]))
    with pytest.raises(ValidationError, match="no origin"):
        Settings()


@pytest.mark.parametrize(("name", "value"), [("CORS_ORIGINS", "https://shop.example"), ("QUEUE", "many")])
def test_the_process_ends_with_a_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(f"EVERYWEAR_{name}", value)
    with pytest.raises(SystemExit, match=f"EVERYWEAR_{name}"):
        settings.__wrapped__()


def test_an_empty_value_is_the_default_and_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch):
    Path(".env").write_text("EVERYWEAR_WEIGHTS=\nEVERYWEAR_CORS_ORIGINS=\n")
    assert (Settings().weights, Settings().cors_origins) == (None, [])
    monkeypatch.setenv("HOME", "/home/somebody")
    Path(".env").write_text("EVERYWEAR_WEIGHTS=~/weights\n")
    assert Settings().weights == Path("/home/somebody/weights")


def test_bodies_may_not_be_limited_below_what_the_services_send_each_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERYWEAR_MAX_UPLOAD_MB", "5")
    with pytest.raises(ValidationError, match="max_upload_mb"):
        Settings()


def test_derived_numbers():
    made = Settings(max_upload_mb=20, max_megapixels=1.5, threads=3, masking_url="http://mask.example:9/")
    assert (made.max_body_bytes, made.max_pixels, made.engine_threads) == (20 * 2**20, 1_500_000, 3)
    assert made.url("masking") == "http://mask.example:9"
    assert Settings().engine_threads >= 1


def test_every_setting_is_described_and_stands_in_the_example_file():
    example = (Path(__file__).parents[1] / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"EVERYWEAR_{name.upper()}=" in example, name
