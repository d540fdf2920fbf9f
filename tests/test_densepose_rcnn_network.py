"""Every layer of DensePose R-CNN against golden numbers, before and after folding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from infra.preprocess.densepose.rcnn import network
from infra.preprocess.densepose.rcnn.boxes import decoded, pyramid_anchors
from infra.preprocess.densepose.rcnn.folding import FoldedRcnn, fold
from infra.preprocess.densepose.rcnn.inference import CHART_GRID, Inference
from infra.preprocess.densepose.rcnn.network import (
    DensePoseRcnn,
    RpnHead,
    build_densepose_rcnn_r50_fpn_s1x,
)
from infra.preprocess.densepose.rcnn.pooling import roi_align
from infra.preprocess.densepose.rcnn.proposals import BOX_WEIGHTS, RPN_WEIGHTS, Boxes, detect, propose
from infra.preprocess.densepose.rcnn.suppression import survivors
from tests.golden_recipe import error, errors, inputs, load, state_dict

BLOCK = 2e-5  # relative error that is allowed to a block; float32 in another order of operations gives up to 7e-6
LEVELS = ("p2", "p3", "p4", "p5", "p6")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


@lru_cache(maxsize=1)  # half a gigabyte each
def filled(name: str) -> tuple[dict, DensePoseRcnn, FoldedRcnn]:
    """A golden file, the network with what it fills (and zeros), and the same folded."""
    golden = load(name)
    with torch.device("meta"):
        bare = build_densepose_rcnn_r50_fpn_s1x()
    bare.to_empty(device="cpu")
    for tensor in bare.state_dict().values():
        tensor.zero_()
    bare.load_state_dict(state_dict(golden), strict=False)
    bare.eval()
    return golden, bare, fold(bare)


def pyramid_of(golden: dict) -> list[Tensor]:
    given = inputs(golden)
    return [given[level] for level in LEVELS if level in given]


def assert_close(golden: dict, outputs: dict[str, Tensor], tolerance: float = BLOCK) -> None:
    wrong = {name: e for name, e in errors(golden, outputs).items() if not e <= tolerance}
    assert not wrong


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        bare = build_densepose_rcnn_r50_fpn_s1x()
    golden = load("densepose")["state_dict"]
    assert [(name, list(value.shape)) for name, value in bare.state_dict().items()] == list(golden.items())
    assert len(golden) == 335
    assert sum(parameter.numel() for parameter in bare.parameters()) == 63_821_090
    everything = {id(t) for t in (*bare.parameters(), *bare.buffers())}
    assert len(everything) == 335  # nothing outside the state dict is left on the meta device


def test_backbone():
    golden, bare, folded = filled("densepose_backbone")
    picture = inputs(golden)["image"]
    bottom_up = bare.backbone.bottom_up
    stages = {f"res{level}": x for level, x in enumerate(bottom_up(picture), start=2)}
    pyramid = dict(zip(LEVELS, bare.backbone(picture)))
    assert_close(golden, {"stem": bottom_up.stem(picture), **stages, **pyramid})
    last = picture.contiguous(memory_format=torch.channels_last)
    for level, x in zip(LEVELS, folded.trunk.backbone(last)):
        assert torch.linalg.norm(x - pyramid[level]) < 1e-5 * torch.linalg.norm(pyramid[level])


def test_folding_leaves_the_network_as_it_was():
    golden = load("densepose_rpn")["state_dict"]
    _, bare, _ = filled("densepose_rpn")
    before = {name: bare.state_dict()[name].clone() for name in golden}
    folded = fold(bare)
    for tensor in folded.state_dict().values():
        tensor.fill_(1)
    assert all(torch.equal(bare.state_dict()[name], value) for name, value in before.items())
    assert [name for name in bare.state_dict() if "norm" in name]
    assert not [name for name in folded.state_dict() if "norm" in name]


def test_region_proposals():
    golden, bare, folded = filled("densepose_rpn")
    settings, pyramid = golden["settings"], pyramid_of(golden)
    head: RpnHead = bare.proposal_generator.rpn_head
    logits, deltas = head(pyramid)
    anchors = pyramid_anchors(*settings["padded_hw"], CPU)
    outputs = {}
    flat = [folded.rpn_predictor(torch.relu(head.conv(level))) for level in pyramid]
    for index, level in enumerate(LEVELS):
        outputs |= {f"objectness_{level}": logits[index], f"deltas_{level}": deltas[index]}
        outputs |= {f"anchors_{level}": anchors[index]}
        outputs |= {f"decoded_{level}": decoded(flat[index][1][0], anchors[index], RPN_WEIGHTS)}
        by_cell = logits[index].permute(0, 2, 3, 1).reshape(1, -1)
        torch.testing.assert_close(flat[index][0], by_cell, rtol=1e-5, atol=1e-5)
    sizes = torch.tensor([settings["image_size_hw"]])
    found = propose(*zip(*flat), anchors, sizes, proposals=settings["post_nms_topk"])
    there = torch.isfinite(found.scores[0])
    outputs |= {"proposals": found.boxes[0][there], "proposal_logits": found.scores[0][there]}
    assert_close(golden, outputs)
    fewer = propose(*zip(*flat), anchors, sizes, proposals=100)
    torch.testing.assert_close(fewer.boxes[0], found.boxes[0][:100])


def test_a_picture_in_a_batch_gets_its_own_proposals():
    golden, _, folded = filled("densepose_rpn")
    pyramid = pyramid_of(golden)
    anchors = pyramid_anchors(*golden["settings"]["padded_hw"], CPU)
    both = [torch.cat([level, level.flip(3)]) for level in pyramid]
    sizes = torch.tensor([[60, 90], [40, 96]])
    together = propose(*zip(*map(folded.rpn_predictor, both)), anchors, sizes)
    for row in range(2):
        single = propose(*zip(*(folded.rpn_predictor(x[row : row + 1]) for x in both)), anchors, sizes[row : row + 1])
        torch.testing.assert_close(together.boxes[row], single.boxes[0], rtol=1e-4, atol=1e-3)
        assert (single.boxes[0].amax(0) <= sizes[row].flip(0).repeat(2)).all()


def test_box_head_and_detections():
    golden, bare, folded = filled("densepose_boxhead")
    settings, pyramid = golden["settings"], pyramid_of(golden)
    boxes = torch.tensor(settings["boxes"], dtype=torch.float32)
    pooled = Inference(folded, CPU, torch.float32).pooled(pyramid, torch.cat([torch.zeros(len(boxes), 1), boxes], 1))
    features = folded.box_head(pooled)
    heads = bare.roi_heads
    torch.testing.assert_close(heads.box_head(pooled), features, rtol=1e-4, atol=1e-5)
    logits, deltas = folded.box_predictor(features)
    torch.testing.assert_close(heads.box_predictor(features), (logits, deltas), rtol=1e-4, atol=1e-5)

    size, threshold = torch.tensor([settings["image_size_hw"]]), settings["score_thresh"]
    proposals = Boxes(boxes[None], torch.zeros(1, len(boxes)))
    found = detect(logits[None], deltas[None], proposals, size, threshold)
    there = torch.isfinite(found.scores[0])
    whole = settings["whole"]
    outputs = {
        "levels": torch.tensor(whole["levels"]), "pooled": pooled, "features": features, "logits": logits,
        "deltas": deltas, "probs": torch.softmax(logits, 1), "decoded": decoded(deltas, boxes, BOX_WEIGHTS),
        "det_boxes": found.boxes[0][there], "det_scores": found.scores[0][there],
        "det_source": torch.tensor(whole["det_source"]),
    }  # fmt: skip
    assert_close(golden, outputs)
    np.testing.assert_allclose(outputs["det_boxes"], whole["det_boxes"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(outputs["det_scores"], whole["det_scores"], rtol=1e-4)


def test_decoder_and_charts():
    golden, bare, folded = filled("densepose_head")
    pyramid, heads = pyramid_of(golden), bare.roi_heads
    decoder = heads.decoder
    names = ("decoder_p2", "decoder_p3", "decoder_p4", "decoder_p5")
    outputs = {name: part(x) for name, part, x in zip(names, decoder.children(), pyramid)}
    whole = decoder(pyramid)
    boxes = torch.tensor(golden["settings"]["boxes"])
    rois = torch.cat([torch.zeros(len(boxes), 1), boxes], 1)
    pooled = roi_align(whole, rois, CHART_GRID, 1 / 4, 2)
    head = heads.densepose_head
    features, predictor = head(pooled), heads.densepose_predictor
    outputs |= {"decoder": whole, "pooled": pooled, "head": features}
    outputs |= {"head_conv1": torch.relu(head.body_conv_fcn1(pooled))}
    outputs |= {"coarse_lowres": predictor.ann_index_lowres(features), "u_lowres": predictor.u_lowres(features)}
    outputs |= dict(zip(("coarse_segm", "fine_segm", "u", "v"), predictor(features)))
    assert_close(golden, outputs)
    together = folded.chart_predictor(folded.densepose_head(pooled))
    torch.testing.assert_close(together, torch.cat(predictor(features), 1), rtol=1e-4, atol=1e-4)


def test_a_window_decodes_as_the_whole_picture():
    """The margin is as wide as the decoder's convolutions reach."""
    _, _, folded = filled("densepose_head")
    generator = torch.Generator().manual_seed(3)
    size, box = (448, 576), torch.tensor([[211.0, 187.0, 267.0, 243.0], [17.0, 301.0, 250.0, 447.0]])
    pyramid = [torch.randn((2, 256, size[0] // s, size[1] // s), generator=generator) for s in (4, 8, 16, 32)]
    inference = Inference(folded, CPU, torch.float32)
    whole = folded.decoder(pyramid)
    want = roi_align(whole, torch.cat([torch.tensor([[0.0], [1.0]]), box], 1), CHART_GRID, 1 / 4, 2)
    got = inference.decoded_under(pyramid, [0, 1], box)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-4)
    one = inference.decoded_under(pyramid, [1], box[1:])
    torch.testing.assert_close(one, want[1:], rtol=0, atol=1e-4)


def test_nothing_proposed_and_nothing_sure():
    empty = Boxes(torch.zeros(2, 5, 4), torch.full((2, 5), -torch.inf))
    found = detect(torch.zeros(2, 5, 2), torch.zeros(2, 5, 4), empty, torch.tensor([[9, 9], [8, 8]]), 0.0)
    assert found.boxes.shape == (2, 0, 4)
    assert survivors(found.boxes, 0.5).shape == (2, 0)


def test_detections_beyond_all_numbers_are_dropped():
    boxes = torch.tensor([[[1.0, 1.0, 5.0, 5.0], [10.0, 10.0, 30.0, 30.0]]])
    logits = torch.tensor([[[torch.nan, 0.0], [4.0, 0.0]]])
    found = detect(logits, torch.zeros(1, 2, 4), Boxes(boxes, torch.zeros(1, 2)), torch.tensor([[50, 50]]), 0.8)
    np.testing.assert_allclose(found.boxes[0], boxes[0, 1:])


@pytest.mark.parametrize("epsilon", [1e-3, 0.0])
def test_the_tolerance_sees_a_wrong_epsilon(monkeypatch, epsilon):
    golden, bare, _ = filled("densepose_backbone")
    want = {each["name"]: each for each in golden["outputs"]}["p2"]
    monkeypatch.setattr(network, "NORM_EPS", epsilon)
    assert error(want, bare.backbone(inputs(golden)["image"])[0]) > BLOCK
