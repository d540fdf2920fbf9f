from __future__ import annotations

import base64
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from infra.weights.readers import UnreadableCheckpoint, format_of, read
from tests import golden_recipe
from tests.weights_checkpoints import arrays, build_plain, build_tiny, caffemodel, tensors, write

ALL = {"torch", "detectron2", "caffe"}
PICKLES = [f"pickle{protocol}" for protocol in range(6)]
CAFFE = ["new", "legacy", "v1", "unpacked", "double"]
FORMS = ["zip", "old", *PICKLES, "safetensors"]


def opened(path: Path, published: set[str] = frozenset(ALL - {"caffe"})) -> dict:
    return read(path, format_of(path, published), ("state_dict", "model"))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(tmp_path: Path, form: str) -> None:
    found = opened(write(tmp_path / "file", form, tensors()))
    for name, value in arrays(tensors()).items():
        assert found[name].shape == value.shape and found[name].dtype == value.dtype.name
        np.testing.assert_array_equal(found[name].read(), value)


@pytest.mark.parametrize("form", CAFFE)
def test_every_form_of_a_caffe_model_gives_the_same_values(tmp_path: Path, form: str) -> None:
    state = tensors(build_plain)
    found = opened(write(tmp_path / "file", form, state), ALL)
    assert set(found) == set(state)
    for name, value in arrays(state).items():
        np.testing.assert_array_equal(found[name].read().reshape(value.shape), value)
        assert found[name].shape == ((1,) * (4 - value.ndim) + value.shape if found[name].padded else value.shape)
        assert found[name].padded == (form in ("legacy", "v1"))


@pytest.mark.parametrize("case", golden_recipe.load("openpose_caffemodel")["cases"], ids=lambda case: case["name"])
def test_caffe_models_that_others_wrote(tmp_path: Path, case: dict) -> None:
    (tmp_path / "file").write_bytes(base64.b64decode(case["file_base64"]))
    found = opened(tmp_path / "file", ALL)
    assert set(found) == set(case["expected"])
    for name, expected in case["expected"].items():
        values = found[name].read().reshape(expected["shape"])
        np.testing.assert_array_equal(values, np.reshape(np.float32(expected["values"]), expected["shape"]))


def test_a_list_of_numbers_may_come_in_pieces(tmp_path: Path) -> None:
    values = np.arange(6, dtype="<f4")
    packed = b"\x2a\x08" + values[:2].tobytes() + b"".join(b"\x2d" + struct.pack("<f", each) for each in values[2:4])
    blob = packed + b"\x2a\x08" + values[4:].tobytes() + b"\x3a\x02\x08\x06"
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob
    (tmp_path / "file").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    np.testing.assert_array_equal(opened(tmp_path / "file", ALL)["a.weight"].read(), values)


@pytest.mark.parametrize("numpy_names", [b"numpy.core", b"numpy._core"])
@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_either_numpy_are_read(tmp_path: Path, numpy_names: bytes, protocol: int) -> None:
    content = pickle.dumps(OrderedDict(arrays(tensors())), protocol=protocol)
    assert b"numpy._core" in content
    (tmp_path / "file").write_bytes(content.replace(b"numpy._core", numpy_names))
    np.testing.assert_array_equal(opened(tmp_path / "file")["conv.weight"].read(), tensors()["conv.weight"].numpy())


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    value = np.array([1.5, -2.0, 0.1], "<f4")
    raw = value.tobytes()
    content = (
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U" + bytes([len(raw)]) + raw + b"tbs."
    )
    (tmp_path / "file").write_bytes(content)
    np.testing.assert_array_equal(opened(tmp_path / "file")["w"].read(), value)


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    "array",
    [np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.arange(4, dtype=">f4"), np.array(3.0)],
    ids=["columns first", "big-endian", "no sides"],
)
def test_arrays_in_any_memory_order(tmp_path: Path, protocol: int, array: np.ndarray) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps({"w": array}, protocol=protocol))
    found = opened(tmp_path / "file")["w"]
    assert found.shape == array.shape
    np.testing.assert_array_equal(found.read(), array)


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self._call


def attacks(canary: Path) -> dict[str, object]:
    touch = f"touch '{canary}'"
    write_it = f"open({str(canary)!r}, 'w').close()"
    getattr_ = Calls(getattr, Calls(__import__, "os"), "system")
    return {
        "os.system": Calls(os.system, touch),
        "builtins.eval": Calls(eval, write_it),
        "builtins.exec": Calls(exec, write_it),
        "a nested reduce": [{"a": (Calls(list, (Calls(os.system, touch),)),)}],
        "getattr": Calls(map, getattr_, [touch]),
        "subprocess": Calls(subprocess.check_call, ["touch", str(canary)]),
        "pickle.loads": Calls(pickle.loads, pickle.dumps(Calls(os.system, touch))),
        "np.save": Calls(np.save, str(canary), np.zeros(1)),
    }


NAMES = list(attacks(Path("canary")))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def assert_refused(path: Path, canary: Path) -> None:
    canary.unlink(missing_ok=True)
    with pytest.raises(UnreadableCheckpoint, match="asks for .* it may be hostile. Nothing of it was run") as caught:
        opened(path)
    assert "weights_only" not in str(caught.value)  # torch's own text advises to switch the protection off
    assert not canary.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, canary: Path, name: str, protocol: int) -> None:
    content = {"model": {**arrays(tensors()), "conv.weight": attacks(canary)[name]}, "__author__": "test"}
    (tmp_path / "file").write_bytes(pickle.dumps(content, protocol=protocol))
    for each in pickle.loads((tmp_path / "file").read_bytes())["model"].values():
        list(each) if isinstance(each, map) else None
    assert canary.exists() or canary.with_name("canary.npy").exists(), "the attack is none"
    assert_refused(tmp_path / "file", canary)


@pytest.mark.parametrize("form", ["zip", "old"])
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_torch_file_is_refused_and_runs_nothing(tmp_path: Path, canary: Path, name: str, form: str) -> None:
    write(tmp_path / "file", form, {**tensors(), "conv.weight": attacks(canary)[name]})
    assert_refused(tmp_path / "file", canary)


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch CANARY'\ntR.",
        b"(S'touch CANARY'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch CANARY'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93X\x05\x00\x00\x00false\x85R.",
        b"\x80\x04\x8c\x0bcollections\x8c\x15OrderedDict.__class__\x93.",
        b"\x80\x02cnumpy\nndarray\ncos\nsystem\nb.",
        b"\x80\x02}(X\x01\x00\x00\x00acnumpy\n__builtins__\nu.",
        b"\x80\x02cnumpy.core.multiarray\nscalar\n.",
        b"\x80\x02c__builtin__\neval\n(X\x01\x00\x00\x001tR.",
        b"\x80\x02ccollections\nnamedtuple\n(X\x01\x00\x00\x00aX\x01\x00\x00\x00btR.",
    ],
    ids=["global", "inst", "obj", "stack global", "dotted", "build", "module's own", "scalar", "eval", "namedtuple"],
)
def test_hostile_opcodes_are_refused(tmp_path: Path, canary: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content.replace(b"touch CANARY", f"touch {canary}".encode()))
    assert_refused(tmp_path / "file", canary)


def test_a_pickle_cannot_tamper_with_the_reader(tmp_path: Path) -> None:
    """BUILD sets attributes of whatever is on the stack; the stand-ins let nothing be set that counts."""
    for name in (b"numpy.core.multiarray\n_reconstruct", b"numpy\ndtype", b"_codecs\nencode"):
        (tmp_path / "file").write_bytes(b"\x80\x02c" + name + b"\n(}X\x08\x00\x00\x00__call__K\x01stbs.")
        with pytest.raises(UnreadableCheckpoint):
            opened(tmp_path / "file")
    hollow = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85X\x00\x00\x00\x00\x87R"
    (tmp_path / "file").write_bytes(b"\x80\x02}X\x01\x00\x00\x00w" + hollow + b"s.")
    with pytest.raises(UnreadableCheckpoint, match="looks like an array and is none"):
        opened(tmp_path / "file")
    np.testing.assert_array_equal(
        opened(write(tmp_path / "good", "pickle2", tensors()))["conv.bias"].read(), tensors()["conv.bias"].numpy()
    )


def test_an_ordered_dict_cannot_hide_its_contents(tmp_path: Path) -> None:
    content = OrderedDict(arrays(tensors()))
    content.get = content.keys = "nothing"
    (tmp_path / "file").write_bytes(pickle.dumps(content, protocol=4))
    assert len(opened(tmp_path / "file")) == len(content)


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["text"]), np.zeros(2, "c8"), np.zeros(1, [("a", "f4")])], ids=str
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps({"w": array}))
    with pytest.raises(UnreadableCheckpoint):
        opened(tmp_path / "file")


@pytest.mark.parametrize("form", [*FORMS, *CAFFE])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_a_truncated_file_is_told(tmp_path: Path, form: str, share: float) -> None:
    caffe = form in CAFFE
    state = tensors(build_plain if caffe else build_tiny)
    whole = write(tmp_path / "whole", form, state).read_bytes()
    (tmp_path / "file").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UnreadableCheckpoint, match="truncated|is empty"):
        opened(tmp_path / "file", ALL if caffe else ALL - {"caffe"})


@pytest.mark.parametrize("published", [{"torch"}, {"detectron2"}, {"caffe"}], ids=str)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in to download</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer"),
        (np.random.default_rng(0).bytes(5000), "damaged|truncated|wire type"),
        (b"A text about networks.\n" * 50, "damaged|truncated|wire type"),
        (b"\0" * 5000, "damaged|no Caffe model"),
        (b"PK\x03\x04" + b"\0" * 500, "zip archive"),
    ],
    ids=["empty", "web page", "pointer", "noise", "text", "zeros", "half a zip"],
)
def test_what_is_no_checkpoint_is_told(tmp_path: Path, published: set[str], content: bytes, reason: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnreadableCheckpoint, match=reason):
        opened(tmp_path / "file", published)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match="is not there"):
        opened(tmp_path / "absent")
    with pytest.raises(UnreadableCheckpoint, match="is no file"):
        opened(tmp_path)


def test_an_archive_that_could_unpack_to_any_size_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "good", "zip", tensors())
    with zipfile.ZipFile(tmp_path / "good") as good, zipfile.ZipFile(tmp_path / "bomb", "w") as bomb:
        for member in good.namelist():
            bomb.writestr(member, good.read(member))
        bomb.writestr("archive/data/99", b"\0" * 50_000_000, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb").stat().st_size < 1_000_000
    with pytest.raises(UnreadableCheckpoint, match="compressed members"):
        opened(tmp_path / "bomb")


def test_the_old_tar_form_is_never_given_to_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader in torch before 2.6 ran code in spite of `weights_only` (CVE-2025-32434)."""
    with tarfile.open(tmp_path / "file", "w") as tar:
        info = tarfile.TarInfo("pickle")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"."))
    monkeypatch.setattr(torch, "load", lambda *arguments, **named: pytest.fail("torch read it"))
    with pytest.raises(UnreadableCheckpoint):
        opened(tmp_path / "file")


HUGE = 1 << 40


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}r\xff\xff\xff\xff.",
        b"}p4294967295\n.",
        b"\x80\x04\x8e" + struct.pack("<Q", HUGE) + b"abc.",
        b"\x80\x05\x96" + struct.pack("<Q", HUGE) + b"abc.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
    ],
    ids=["memo", "memo in text", "bytes", "bytearray", "text", "number"],
)
def test_absurd_sizes_in_a_pickle_take_no_memory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnreadableCheckpoint):
        opened(tmp_path / "file")


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    content = pickle.dumps({"w": np.zeros(3, np.float32)}, protocol=2)
    claimed = content.replace(b"K\x01K\x03\x85", b"K\x01J\xff\xff\xff\x7f\x85")
    assert claimed != content
    (tmp_path / "file").write_bytes(claimed)
    with pytest.raises(UnreadableCheckpoint, match="has 12 bytes, and its shape needs other"):
        opened(tmp_path / "file")


@pytest.mark.parametrize("length", [1 << 62, 200_000_000, 5000])
def test_an_absurd_safetensors_header_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "file").write_bytes(struct.pack("<Q", length) + b'{"w":{}}' + b" " * 100)
    with pytest.raises(UnreadableCheckpoint, match="safetensors"):
        opened(tmp_path / "file")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 30,
        b"\x0a\xff\xff\xff\xff\xff\x01abc",
        caffemodel({"a.weight": np.zeros((3, 1), np.float32)}).replace(b"\x0a\x02\x03\x01", b"\x0a\x02\x03\x07"),
    ],
    ids=["endless number", "absurd length", "wrong shape"],
)
def test_a_malformed_caffe_model_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnreadableCheckpoint, match="Caffe model"):
        opened(tmp_path / "file", ALL)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"conv.weight": torch.zeros(1), "epoch": 3}, r"no dense tensor: epoch \(int\)"),
        ({1: torch.zeros(1)}, "keys that are no names, of type int"),
        ([torch.zeros(1)], "holds a list"),
        ({"w": torch.zeros(3, 3).to_sparse()}, "no dense tensor"),
        ({"w": torch.zeros(3, device="meta")}, "no dense tensor"),
        ({"state_dict": {"w": {"deeper": torch.zeros(1)}}}, r"no dense tensor: w \(dict\)"),
    ],
    ids=["a number", "no names", "a list", "sparse", "without values", "too deep"],
)
def test_a_torch_file_of_something_else_is_told(tmp_path: Path, content: object, reason: str) -> None:
    torch.save(content, tmp_path / "file")
    with pytest.raises(UnreadableCheckpoint, match=reason):
        opened(tmp_path / "file")


def test_bfloat16_comes_as_float32(tmp_path: Path) -> None:
    state = {"w": torch.tensor([1.0, -0.5]).bfloat16()}
    for form in ("zip", "safetensors"):
        found = opened(write(tmp_path / form, form, state))["w"]
        assert found.dtype == "bfloat16" and found.read().dtype == np.float32
        np.testing.assert_array_equal(found.read(), [1.0, -0.5])
