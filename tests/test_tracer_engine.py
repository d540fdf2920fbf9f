"""The TRACER engine end to end, with networks filled by the recipe and the embedded multi-class network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from infra.preprocess.masking.fba.network import build_fba
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.masking.tracer_b7.engine import TracerB7
from infra.preprocess.masking.tracer_b7.network import build_tracer_b7
from infra.preprocess.masking.tracer_b7.salience import Salience
from infra.serving.engine import EngineError
from infra.serving.settings import Settings
from infra.serving.torch_runtime import TorchRuntime
from tests import golden_recipe
from tests.conftest import SAMPLES, read_rgb

SMALL = 96  # side of TRACER's input in tests that do not ask what the published size gives


def opened(runtime: TorchRuntime, id: str, weights: object) -> nn.Module:
    build, golden = {"tracer_b7": (build_tracer_b7, "tracer"), "fba": (build_fba, "fba")}[id]
    network = build()
    network.load_state_dict(golden_recipe.state_dict(golden_recipe.load(golden) | {"gain": 1.25}))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=["off", "fba", "carvekit"])
def engine(request, weights) -> TracerB7:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TorchRuntime, "open", opened)
        settings = Settings(_env_file=None, tracer_matting=request.param, device="cpu", dtype="float32", batch=0)
        engine = TracerB7.configured(settings)
        engine.load(weights, threads=1)
    return engine


@pytest.fixture
def small(engine, monkeypatch) -> TracerB7:
    salience = Salience(engine.salience._network, torch.device("cpu"), torch.float32, SMALL)
    monkeypatch.setattr(engine, "salience", salience)
    return engine


def shrunk_sample(folder: str, name: str, height: int) -> np.ndarray:
    picture = read_rgb(SAMPLES / folder / f"{name}.jpg")
    return cv2.resize(picture, (round(height * 0.75), height), interpolation=cv2.INTER_AREA)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), dtype=np.uint8)


def assert_same(first: Mask | EngineError, second: Mask | EngineError) -> None:
    if isinstance(first, EngineError):
        assert (first.code, first.detail) == (second.code, second.detail)
        return
    # Rounding differs with the batch; where the recipe's matting network meets its least alpha a pixel may go.
    assert (np.abs(first.alpha.astype(int) - second.alpha) > 2).mean() < 0.01
    assert first.worn == second.worn and (first.kinds is None) == (second.kinds is None)


def test_pictures_of_all_sizes_and_subjects_in_one_batch_are_answered_like_single_ones(small):
    batch = [
        MaskInput(shrunk_sample("person", "woman_tshirt_jeans", 240), "person"),
        MaskInput(noise(1, 1), "person"),
        MaskInput(shrunk_sample("garment", "polo", 200), "garment"),
        MaskInput(noise(20, 300), "garment"),
        MaskInput(shrunk_sample("person", "man_tank_trousers", 180), "cutout"),
        MaskInput(noise(33, 40), "cutout"),
    ]
    answers = small.run(batch)
    assert len(answers) == len(batch)
    for one, answer in zip(batch, answers):
        assert_same(answer, small.run([one])[0])
        if isinstance(answer, Mask):
            assert answer.alpha.shape == one.picture.shape[:2] and answer.alpha.dtype == np.uint8
    assert isinstance(answers[0], Mask) and answers[0].class_logits is not None
    assert [answers[i].code for i in (1, 3, 5)] == ["no_person", "no_garment", "no_garment"]
    assert "too small" in answers[3].detail


def test_only_too_small_pictures_need_no_network(small):
    sizes = (5, 31), (31, 500), (32, 40_000), (40_000, 32)
    answers = small.run([MaskInput(noise(*size), "garment") for size in sizes])
    assert [answer.code for answer in answers] == ["no_garment"] * 4


def test_the_mask_that_the_network_gives_becomes_the_garment_s(small, monkeypatch):
    """A stand-in for a trained network: what differs from the picture's corner stands out."""

    def standing_out(images: torch.Tensor) -> torch.Tensor:
        away = (images - images[:, :, :1, :1]).abs().sum(1, keepdim=True)
        return (4 * (away - 1)).clamp(0, 1)  # the ground is not quite even

    monkeypatch.setattr(small, "salience", Salience(standing_out, torch.device("cpu"), torch.float32, 320))
    monkeypatch.setattr(small, "matting", None)
    (answer,) = small.run([MaskInput(shrunk_sample("garment", "tshirt_dark", 320), "garment")])
    assert isinstance(answer, Mask) and not answer.worn and answer.evidence > 0
    assert answer.kinds.dtype == np.float32 and answer.kinds.argmax() == 0
    assert 0.1 < (answer.alpha > 127).mean() < 0.6


def test_matting_by_setting_asks_for_its_weights(engine):
    mode = engine.settings.tracer_matting
    assert engine.weights == ("tracer_b7", "selfie_multiclass", *(("fba",) if mode != "off" else ()))
    assert (engine.matting is None) == (mode == "off")


@pytest.mark.slow
def test_warm_up_runs_a_frame_at_the_published_size(engine, monkeypatch):
    assert engine.example().picture.shape == (1024, 768, 3)
    if engine.matting is not None:  # takes ten seconds for a frame
        monkeypatch.setattr(engine, "example", lambda: MaskInput(noise(64, 48)))
    engine.warm_up()
    assert engine.max_batch == 1  # a CPU gains nothing by more


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_mask_that_the_cpu_gives(engine, weights, monkeypatch):
    monkeypatch.setattr(TorchRuntime, "open", opened)
    there = TracerB7.configured(engine.settings.model_copy(update={"device": "cuda"}))
    there.load(weights, threads=1)
    given = [MaskInput(shrunk_sample("person", "woman_dress", height), "person") for height in (300, 240)]
    with torch.inference_mode():
        for here, far in zip(engine.salience(given), there.salience(given)):
            # TF32 and another order of sums; a network that reads something else differs by 50 and more.
            assert np.abs(here.astype(int) - far).mean() < 2
