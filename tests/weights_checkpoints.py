"""Small networks, checkpoints of them, and files in every published form."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from infra.weights.entry import Checkpoint, Licence, NameMap, PublishedFile

FREE = Licence("MIT", commercial_use=True)

# Which golden file has a checkpoint's names and shapes
GOLDEN = {
    "tracer_b7": "tracer",
    "fba": "fba",
    "schp_cihp": "schp_lip",  # the same 20 classes
    "schp_lip": "schp_lip",
    "schp_atr": "schp_atr",
    "schp_pascal": "schp_pascal",
    "openpose_body_25": "openpose_body25",
    "openpose_coco": "openpose_coco18",
    "openpose_hand": "openpose_hand",
    "densepose_rcnn_r50_fpn_s1x": "densepose",
}


class Tiny(nn.Module):
    """A convolution, a norm with its counter, and slopes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.slope = nn.PReLU(4)


def build_tiny() -> nn.Module:
    return Tiny()


def build_plain() -> nn.Module:
    """What a Caffe model can hold: no counters."""
    return nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), "slope": nn.PReLU(4)})


def build_large() -> nn.Module:
    """1 MB: more than any buffer between a server and a file."""
    return nn.ModuleDict({"dense": nn.Linear(500, 500)})


def checkpoint(builder: str = "build_tiny", id: str = "tiny", **changes: object) -> Checkpoint:
    published = {name: changes.pop(name) for name in ("digest", "hub", "urls", "mb") if name in changes}
    file_format = changes.pop("format", "torch")
    page = "https://example.invalid/page"
    fields: dict = {
        "licence": FREE,
        "files": (PublishedFile(**{"name": "tiny.pth", "format": file_format, "mb": 0.01, "page": page, **published}),),
        "names": NameMap(wrappers=("state_dict", "model")),
        **changes,
    }
    place = f"tests.weights_checkpoints:{builder}"
    return Checkpoint(id=id, service="masking", engine="tiny", purpose="for tests", builder=place, **fields)


def tensors(builder=build_tiny, seed: int = 0) -> OrderedDict[str, torch.Tensor]:
    """The network's state dict, in random numbers and a counter of 7."""
    generator = torch.Generator().manual_seed(seed)
    return OrderedDict(
        (name, torch.randn(value.shape, generator=generator) if value.is_floating_point() else torch.tensor(7))
        for name, value in builder().state_dict().items()
    )


def arrays(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in state.items()}


def write(path: Path, form: str, state: Mapping[str, torch.Tensor]) -> Path:
    """The state dict as a file of this form: zip or old (torch's), pickleN, safetensors, or one of `caffemodel`'s."""
    if form in ("zip", "old"):
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    elif form.startswith("pickle"):
        path.write_bytes(pickle.dumps({"model": arrays(state), "__author__": "test"}, protocol=int(form[-1])))
    elif form == "safetensors":
        save_file(dict(state), path)
    else:
        path.write_bytes(caffemodel(arrays(state), form))
    return path


def caffemodel(values: Mapping[str, np.ndarray], form: str = "new") -> bytes:
    """A Caffe model of `LAYER.weight` and `LAYER.bias`: new, legacy (four sides), v1, unpacked or double."""
    layers: dict[str, list[np.ndarray]] = {}
    for name, value in values.items():
        layers.setdefault(name.rpartition(".")[0], []).append(value)
    name_field, blobs_field, layer_field = (4, 6, 2) if form == "v1" else (1, 7, 100)
    net = [_field(1, b"net"), _varint(5 << 3) + _varint(300), _varint(7 << 3 | 5) + b"\0" * 4]
    for layer, blobs in layers.items():
        parts = [_field(name_field, layer.encode()), *(_field(blobs_field, _blob(each, form)) for each in blobs)]
        net.append(_field(layer_field, b"".join(parts)))
    return b"".join(net)


def _blob(value: np.ndarray, form: str) -> bytes:
    floats = value.astype("<f4")
    if form in ("legacy", "v1"):
        sides = (1,) * (4 - value.ndim) + value.shape
        shape = b"".join(_varint(field << 3) + _varint(side) for field, side in enumerate(sides, 1))
    else:
        shape = _field(7, _field(1, b"".join(map(_varint, value.shape))))
    if form == "unpacked":
        return b"".join(b"\x2d" + struct.pack("<f", each) for each in floats.ravel()) + shape
    if form == "double":
        return shape + _field(8, floats.astype("<f8").tobytes())
    return shape + _field(5, floats.tobytes())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
