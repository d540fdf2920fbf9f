"""Which engine a service gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra import engines
from infra.engines import MissingPackages, choose
from infra.serving.engine import Engine
from infra.serving.settings import Settings
from infra.weights import MissingWeights
from tests.conftest import ROOT


class _Made(Engine[int, int]):
    def load(self, weights, threads):
        pass

    def run(self, batch):
        return batch


class Best(_Made):
    name = "best"
    weights = ("modnet",)
    requires = ("no_such_package",)


class Good(_Made):
    name = "good"
    weights = ("u2netp",)


class Plain(_Made):
    name = "plain"
    weights = ("pose_detection",)


@pytest.fixture(autouse=True)
def three_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {made.name: f"{__name__}:{made.__name__}" for made in (Best, Good, Plain)}
    monkeypatch.setitem(engines.ENGINES, "masking", row)


def there(*ids: str):
    def path(id: str) -> Path:
        if id not in ids:
            raise MissingWeights(id, Path("/secret/place") / id, f"/secret/place/{id} is not there")
        return Path(id)

    return path


def test_auto_takes_the_best_that_can_be_and_says_what_the_better_ones_lack():
    choice = choose("masking", Settings(_env_file=None), there("modnet", "u2netp", "pose_detection"))
    assert choice.engine.name == "good"
    assert list(choice.passed_over) == ["best"] and "no_such_package" in choice.passed_over["best"]
    assert "make models" in choice.passed_over["best"]


def test_auto_falls_to_the_embedded_default_and_says_how_to_get_the_weights():
    choice = choose("masking", Settings(_env_file=None), there("pose_detection"))
    assert choice.engine.name == "plain" and list(choice.passed_over) == ["best", "good"]
    assert "everywear weights fetch u2netp" in choice.passed_over["good"]
    assert "u2netp is not there" in choice.passed_over["good"] and "secret/place/u2netp is" not in str(choice)


def test_without_any_weights_auto_is_the_embedded_default():
    choice = choose("masking", Settings(_env_file=None), there())
    assert choice.engine.name == "plain" and "plain" not in choice.passed_over


def test_a_named_engine_must_have_its_weights_and_packages():
    with pytest.raises(MissingWeights, match="everywear weights fetch u2netp"):
        choose("masking", Settings(_env_file=None, masking_engine="good"), there("pose_detection"))
    with pytest.raises(MissingPackages, match="best needs no_such_package. Run `make models`"):
        choose("masking", Settings(_env_file=None, masking_engine="best"), there("modnet"))


def test_no_engine_needs_torch_before_it_is_loaded():
    program = (
        "import sys; from infra.engines import ENGINES, make; from infra.serving.settings import Settings;"
        "made = [make(service, name, Settings(_env_file=None)) for service, row in ENGINES.items() for name in row];"
        "assert len(made) == sum(map(len, ENGINES.values())) and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
