"""The engine from pictures to parse maps, with recipe weights and a small network input."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.preprocess.human_parser.schp import engine as module
from infra.preprocess.human_parser.schp.engine import NOTES, Schp
from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.engine import EngineError
from infra.serving.settings import Settings
from infra.serving.torch_runtime import TorchRuntime
from infra.weights.catalogue import build_network
from tests import golden_recipe

SCHEMES = ("cihp", "lip", "atr", "pascal")
SMALL = (65, 65)
SAME = 0.999  # of the pixels: another batch sums in another order, which moves a border here and there


@lru_cache
def recipe(scheme: str) -> dict[str, torch.Tensor]:
    return golden_recipe.state_dict(golden_recipe.load(f"schp_{'lip' if scheme == 'cihp' else scheme}"))


def opened(runtime: TorchRuntime, id: str, weights: object) -> torch.nn.Module:
    """In place of `TorchRuntime.open`: the recipe's weights, not a file's."""
    with torch.device("meta"):
        network = build_network(id)
    network.load_state_dict(recipe(id.removeprefix("schp_")), strict=True, assign=True)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    with pytest.MonkeyPatch.context() as patched:
        for scheme in SCHEMES:
            patched.setitem(module.INPUT_SIZES, scheme, SMALL)
        yield


def loaded(scheme: str, **settings: object) -> Schp:
    engine = Schp(Settings(_env_file=None, schp_weights=scheme, device="cpu", **settings))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TorchRuntime, "open", opened)
        engine.load(lambda id: Path(id), threads=1)
    return engine


@pytest.fixture(scope="module")
def cihp() -> Schp:
    return loaded("cihp")


def picture(height: int, width: int) -> np.ndarray:
    """Patches of colour, so that there is something to tell apart."""
    coarse = np.random.default_rng(height * width).integers(0, 256, (-(-height // 16), -(-width // 16), 3))
    return coarse.astype(np.uint8).repeat(16, 0).repeat(16, 1)[:height, :width]


def shift_background(monkeypatch: pytest.MonkeyPatch, engine: Schp, by: float) -> None:
    """As of a network that sees background everywhere, or nowhere."""
    infer, shift = engine.parser.infer, torch.zeros(20, 1, 1)
    shift[0] = by
    monkeypatch.setattr(engine.parser, "infer", lambda tensors: infer(tensors) + shift)


def agreement(one: Parse, other: Parse) -> float:
    near = np.abs(one.confidence.astype(int) - other.confidence) <= 3
    return float(((one.labels == other.labels) & near).mean())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_checkpoint_gives_the_fleets_labels(scheme: str):
    engine = loaded(scheme)
    engine.warm_up()
    assert engine.weights == (f"schp_{scheme}",) and engine.note == NOTES[scheme]
    [parse] = engine.run([ParseInput(picture(120, 90))])
    assert isinstance(parse, Parse)
    for values in (parse.labels, parse.confidence):
        assert values.shape == (120, 90) and values.dtype == np.uint8 and values.flags.c_contiguous
    assert parse.labels.max() <= max(Cihp)
    assert parse.confidence.min() >= 255 // 20 and parse.confidence.max() <= 255


def test_loads_the_imported_file(tmp_path: Path):
    path = tmp_path / "schp_lip.safetensors"
    save_file(recipe("lip"), path)
    engine = Schp(Settings(_env_file=None, schp_weights="lip", device="cpu"))
    engine.load({"schp_lip": path}.__getitem__, threads=1)
    path.unlink()
    item = ParseInput(picture(70, 50))
    [from_file], [expected] = engine.run([item]), loaded("lip").run([item])
    assert agreement(from_file, expected) >= SAME


def test_batch_of_several_sizes_equals_single_pictures(cihp: Schp):
    sizes = [(120, 90), (33, 47), (120, 90), (300, 201), (64, 1), (1, 64), (2, 2), (1024, 768)]
    batch = [ParseInput(picture(*size)) for size in sizes]
    together = cihp.run(batch)
    assert len(together) == len(batch)
    for item, parse in zip(batch, together):
        [alone] = cihp.run([item])
        if isinstance(alone, EngineError):
            assert isinstance(parse, EngineError)
        else:
            assert parse.labels.shape == item.picture.shape[:2]
            assert agreement(parse, alone) >= SAME


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (1, 900), (900, 1), (2, 40000)])
def test_thin_pictures(cihp: Schp, size: tuple[int, int]):
    [parse] = cihp.run([ParseInput(picture(*size))])
    assert isinstance(parse, EngineError) or parse.labels.shape == size


def test_single_pixels_show_nobody_and_leave_others_alone(cihp: Schp):
    pixel, other = ParseInput(np.zeros((1, 1, 3), np.uint8)), ParseInput(picture(60, 60))
    [alone] = cihp.run([pixel])
    first, answer, last = cihp.run([pixel, other, pixel])
    assert all(isinstance(each, EngineError) and each.code == "no_person" for each in (alone, first, last))
    assert agreement(answer, cihp.run([other])[0]) >= SAME
    assert cihp.run([]) == []


def test_background_everywhere_is_nobody(cihp: Schp, monkeypatch: pytest.MonkeyPatch):
    shift_background(monkeypatch, cihp, 1e4)
    [answer] = cihp.run([ParseInput(picture(60, 60))])
    assert isinstance(answer, EngineError) and answer.code == "no_person"


def test_pictures_that_cannot_be_written_to(cihp: Schp, recwarn: pytest.WarningsRecorder):
    mine = picture(50, 40)
    mine.setflags(write=False)
    before = mine.copy()
    cihp.run([ParseInput(mine)])
    assert not recwarn.list and np.array_equal(mine, before)


def standing(x: float, y: float, height: float) -> np.ndarray:
    """Key points of somebody upright, x and y their nose, of this height from nose to ankles."""
    person = np.zeros((25, 3), np.float32)
    shares = {0: (0, 0), 1: (0, 0.15), 2: (-0.1, 0.15), 3: (-0.12, 0.3), 4: (-0.12, 0.45), 5: (0.1, 0.15),
              6: (0.12, 0.3), 7: (0.12, 0.45), 8: (0, 0.5), 9: (-0.06, 0.5), 10: (-0.06, 0.75), 11: (-0.06, 1),
              12: (0.06, 0.5), 13: (0.06, 0.75), 14: (0.06, 1)}  # fmt: skip
    for index, share in shares.items():
        person[index] = x + share[0] * height, y + share[1] * height, 0.9
    return person


def posed(*people: np.ndarray) -> Pose:
    return Pose(np.stack(people), np.zeros((len(people), 2, 21, 3), np.float32), "front")


def everybody(cihp: Schp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken for somebody else's, so that a crop's labels can be compared."""
    monkeypatch.setattr("infra.preprocess.human_parser.schp.parsing.drop_others", lambda *_: None)


@pytest.mark.parametrize("where", [(200, 100), (8, 20), (590, 200)])
def test_the_crop_is_parsed_as_a_picture_of_its_own(cihp: Schp, monkeypatch: pytest.MonkeyPatch, where):
    """In the middle and at the picture's border."""
    everybody(cihp, monkeypatch)
    photo, pose = picture(400, 600), posed(standing(*where, height=150))
    [parse] = cihp.run([ParseInput(photo, pose)])
    rows, columns = np.flatnonzero(parse.confidence.any(1)), np.flatnonzero(parse.confidence.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    assert np.ptp(rows) < 250 and np.ptp(columns) < 150
    [crop] = cihp.run([ParseInput(photo[box])])
    assert agreement(Parse(parse.labels[box], parse.confidence[box]), crop) >= SAME
    outside = np.ones(parse.labels.shape, bool)
    outside[box] = False
    assert not parse.labels[outside].any() and not parse.confidence[outside].any()


def test_only_the_chosen_person_is_labelled(cihp: Schp, monkeypatch: pytest.MonkeyPatch):
    shift_background(monkeypatch, cihp, -1e4)
    photo = picture(400, 400)
    left, right = standing(120, 80, 280), standing(280, 80, 280)
    [first], [second] = (cihp.run([ParseInput(photo, posed(*both))]) for both in ((left, right), (right, left)))
    assert first.labels[:, :180].any() and not first.labels[:, 220:].any()
    assert second.labels[:, 220:].any() and not second.labels[:, :180].any()


def test_mask_leaves_others_out(cihp: Schp):
    photo = picture(200, 150)
    alpha = np.zeros((200, 150), np.uint8)
    alpha[40:160, 30:100] = 255
    [parse] = cihp.run([ParseInput(photo, mask=Mask(alpha))])
    assert parse.labels.any() and not parse.labels[alpha == 0].any()


def test_pose_of_nobody_is_no_pose(cihp: Schp):
    item = ParseInput(picture(90, 70))
    [plain], [unseen] = cihp.run([item]), cihp.run([replace(item, pose=posed(np.zeros((25, 3), np.float32)))])
    assert np.array_equal(plain.labels, unseen.labels)


def test_channels_go_in_as_blue_green_red(cihp: Schp):
    red = np.zeros((*SMALL, 3), np.uint8)
    red[..., 0] = 255
    [tensor] = cihp.parser.pre([ParseInput(red)])
    assert [round(float(plane[30, 30]), 3) for plane in tensor] == [-1.804, -2.036, 2.249]


def test_half_precision_labels_nearly_the_same(cihp: Schp):
    item = ParseInput(picture(120, 90))
    half = loaded("cihp", dtype="bfloat16")
    assert half.parser.pre([item]).dtype == torch.bfloat16
    [rough], [exact] = half.run([item]), cihp.run([item])
    assert (rough.labels == exact.labels).mean() > 0.9  # 0.985 at the published size


def test_three_steps_make_the_answer(cihp: Schp):
    batch = [ParseInput(picture(120, 90)), ParseInput(picture(40, 70))]
    with torch.inference_mode():
        tensors = cihp.parser.pre(batch)
        logits = cihp.parser.infer(tensors)
        parses = cihp.parser.post(logits, batch)
    assert tensors.shape == (2, 3, *SMALL) and tensors.is_contiguous(memory_format=torch.channels_last)
    assert logits.shape == (2, 20, 17, 17) and logits.dtype == torch.float32
    for parse, answer in zip(parses, cihp.run(batch)):
        assert np.array_equal(parse.labels, answer.labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_labels_as_the_cpu_does(cihp: Schp):
    engine = Schp(Settings(_env_file=None, schp_weights="cihp", device="cuda", dtype="float32"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TorchRuntime, "open", opened)
        engine.load(lambda id: Path(id), threads=1)
    item = ParseInput(picture(300, 201))
    assert torch.equal(engine.parser.pre([item]).cpu(), cihp.parser.pre([item]))
    [there], [here] = engine.run([item]), cihp.run([item])
    assert (there.labels == here.labels).mean() > 0.98
