"""Files that run nothing and would still take the machine's memory, somebody's evening, or values that they lack."""

from __future__ import annotations

import inspect
import io
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from infra.weights.readers import UnreadableCheckpoint, format_of, numpy_pickle, pickle_cost, read
from infra.weights.readers.torch_file import LEGACY_MAGIC
from tests.weights_checkpoints import tensors, write

TOO_MUCH = "has far more in its pickle than tensors need"
OLD_HEAD = b"".join(pickle.dumps(each, protocol=2) for each in (0x1950A86A20F9469CFC6C, 1001, {}))


def opened(path: Path, published: frozenset[str] = frozenset({"torch", "detectron2"})) -> dict:
    return read(path, format_of(path, published), ("state_dict", "model"))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def as_pickle(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def as_zip(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3\n")


def as_old(path: Path, content: bytes) -> None:
    path.write_bytes(OLD_HEAD + content + pickle.dumps([], protocol=2))


LAUGHS = b"\x80\x02})" + b"q\x01h\x01\x86" * 24 + b"Ns."  # a key of 2 ** 24 tuples
DEEP = b"\x80\x02})" + b"\x85" * 200 + b"Ns."
LISTS = b"\x80\x02" + b"]" * 30_000 + b"."
ENCODED = b"c_codecs\nencode\n(h\x01X\x06\x00\x00\x00latin1tR"
COPIES = b"\x80\x02" + text("a" * 100_000) + b"q\x01" + ENCODED * 200 + b"."
ORDERED = b"\x80\x02](" + b"(K\x01Nt" * 200 + b"eq\x01" + b"ccollections\nOrderedDict\n(h\x01tR" * 200 + b"."


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that small files reach."""
    monkeypatch.setattr(pickle_cost, "STEPS", 20_000)
    monkeypatch.setattr(pickle_cost, "WORK", 20_000)


@pytest.mark.parametrize("form", [as_pickle, as_zip, as_old])
@pytest.mark.parametrize(
    "content", [LAUGHS, DEEP, LISTS, COPIES, ORDERED], ids=["laughs", "deep", "lists", "copies", "ordered"]
)
def test_a_pickle_that_grows_beyond_all_measure_is_not_run(tmp_path: Path, little, form: Callable, content) -> None:
    form(tmp_path / "file", content)
    with pytest.raises(UnreadableCheckpoint, match=TOO_MUCH):
        opened(tmp_path / "file")


@pytest.mark.parametrize("form", ["zip", "old", *(f"pickle{protocol}" for protocol in range(6))])
def test_many_tensors_are_far_from_the_limits(tmp_path: Path, monkeypatch, form: str) -> None:
    monkeypatch.setattr(pickle_cost, "STEPS", pickle_cost.STEPS // 20)
    monkeypatch.setattr(pickle_cost, "WORK", pickle_cost.WORK // 20)
    monkeypatch.setattr(pickle_cost, "DEPTH", pickle_cost.DEPTH // 5)
    state = {f"block.{number}.weight": torch.full((3,), float(number)) for number in range(1700)}  # TRACER's count
    assert len(opened(write(tmp_path / "file", form, state))) == len(state)


def test_text_that_many_arrays_share_is_not_copied_for_each(tmp_path: Path) -> None:
    shared = b"\x80\x02" + text("a" * 1_000_000) + b"q\x01cnumpy\ndtype\n(X\x02\x00\x00\x00u1tRq\x02"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR(K\x01(J\x40\x42\x0f\x00th\x02\x89h\x01tb"
    (tmp_path / "file").write_bytes(shared + b"}(" + b"".join(text(f"a{n}") + array for n in range(50)) + b"u.")
    tracemalloc.start()
    found = opened(tmp_path / "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 50 and peak < 10_000_000
    np.testing.assert_array_equal(found["a49"].read(), np.full(1_000_000, ord("a"), np.uint8))


def test_a_pickle_leaves_nothing_on_the_readers_functions(tmp_path: Path) -> None:
    names = (
        b"numpy.core.multiarray\n_reconstruct",
        b"numpy.core.numeric\n_frombuffer",
        b"numpy\ndtype",
        b"_codecs\nencode",
    )
    for name in names:
        (tmp_path / "file").write_bytes(b"\x80\x02c" + name + b"\n}" + text("left") + b"K\x01sb.")
        with pytest.raises(UnreadableCheckpoint):
            opened(tmp_path / "file")
    places = (numpy_pickle, numpy_pickle._ArrayUnpickler)
    functions = [each for place in places for _, each in inspect.getmembers(place, inspect.isfunction)]
    assert not any(hasattr(function, "left") for function in functions)


def test_a_shape_of_absurd_numbers_is_not_multiplied(tmp_path: Path) -> None:
    number = b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000
    array = b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR(K\x01(" + b"h\x01" * 3000 + b"t"
    array += b"cnumpy\ndtype\n(X\x02\x00\x00\x00f4tR\x89X\x00\x00\x00\x00tb"
    (tmp_path / "file").write_bytes(b"\x80\x02" + number + b"q\x01}" + text("w") + array + b"s.")
    with pytest.raises(UnreadableCheckpoint, match="its shape needs other"):
        opened(tmp_path / "file")


def test_an_old_tar_by_the_look_of_a_newer_file_is_never_given_to_torch(tmp_path: Path, monkeypatch) -> None:
    """Its first member's name is the number that newer files begin with."""
    with tarfile.open(tmp_path / "file", "w", format=tarfile.USTAR_FORMAT, encoding="latin1") as tar:
        info = tarfile.TarInfo((b"\x80\x02" + LEGACY_MAGIC[0]).decode("latin1"))
        info.size = 1
        tar.addfile(info, io.BytesIO(b"."))
    assert format_of(tmp_path / "file", {"torch"}) == "torch"
    monkeypatch.setattr(torch, "load", lambda *arguments, **named: pytest.fail("torch read it"))
    with pytest.raises(UnreadableCheckpoint, match="is a tar archive"):
        opened(tmp_path / "file")


def test_an_archive_with_a_second_directory_is_refused(tmp_path: Path) -> None:
    """Python takes the one at the end, torch the one that the end record tells of: here, one with a bomb."""
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}." + b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)
        archive.writestr("archive/version", b"3\n")
        begin = archive.fp.tell()
    content = (tmp_path / "file").read_bytes()
    directory, end = content[begin:-22], content[-22:]
    harmless = bytearray(directory)
    struct.pack_into("<H", harmless, 10, zipfile.ZIP_STORED)
    harmless[24:28] = harmless[20:24]  # as large as it is packed
    (tmp_path / "file").write_bytes(content[:begin] + directory + harmless + end)
    with pytest.raises(UnreadableCheckpoint, match="something around it"):
        opened(tmp_path / "file")


def test_values_that_an_archive_lacks_are_not_made_up(tmp_path: Path) -> None:
    """torch would hand out whatever follows in the file."""
    with zipfile.ZipFile(write(tmp_path / "good", "zip", tensors())) as good:
        members = {name: good.read(name) for name in good.namelist()}
    largest = max(members, key=lambda name: len(members[name]) * ("/data/" in name))
    with zipfile.ZipFile(tmp_path / "file", "w") as short:
        for name, content in members.items():
            short.writestr(name, content[:4] if name == largest else content)
        short.writestr("good/padding.pkl", b"N." + b"\0" * 1000)
    with pytest.raises(UnreadableCheckpoint, match="claims more values than there are"):
        opened(tmp_path / "file")


def test_values_that_an_old_file_lacks_are_not_made_up(tmp_path: Path) -> None:
    """torch would hand out memory as it finds it."""
    content = write(tmp_path / "good", "old", {"w": torch.ones(50_000)}).read_bytes()
    head = content[: -8 - 200_000]  # up to the storage with its size
    (tmp_path / "file").write_bytes(head[: head.rindex(b"\x80\x02")] + pickle.dumps([], protocol=2))
    with pytest.raises(UnreadableCheckpoint, match="claims more values than there are"):
        opened(tmp_path / "file")


def test_attributes_of_a_tensor_do_not_take_the_place_of_its_methods(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.detach = parameter.contiguous = 5
    torch.save({"w": parameter}, tmp_path / "file")
    np.testing.assert_array_equal(opened(tmp_path / "file")["w"].read(), [0, 1, 2])


def test_a_negated_view_is_read_as_its_values(tmp_path: Path) -> None:
    torch.save({"w": torch._neg_view(torch.arange(3.0))}, tmp_path / "file")
    np.testing.assert_array_equal(opened(tmp_path / "file")["w"].read(), [0, -1, -2])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_told(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.strided)
    torch.save({"w": nested}, tmp_path / "file")
    with pytest.raises(UnreadableCheckpoint, match="no dense tensor: w"):
        opened(tmp_path / "file")


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def shape(*sides: int) -> bytes:
    return field(7, field(1, b"".join(map(varint, sides))))


FLOATS = field(5, np.ones(4, "<f4").tobytes())
MANY = 20_000


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([shape(0, 2**64 - 1)], "0 values for the shape"),
        ([shape(0, 2**40, 2**40)], "0 values for the shape"),
        ([shape(*[1] * 99, 4) + FLOATS], "4 values for the shape"),
        ([shape(2**64 - 4) + FLOATS], "4 values for the shape"),
        ([FLOATS + b"\x3a\x00"], "4 values for the shape"),
        ([shape(1) + b"\xad\x00" + b"\0" * 4], "0 values for the shape"),
        ([shape(MANY) + b"\x2d\0\0\0\0\x30\0" * MANY], "more parts than any network"),
        ([shape(MANY) + b"\x2a\x04\0\0\0\0" * MANY], "more parts than any network"),
        ([b""] * MANY, "more parts than any network"),
    ],
    ids=[
        "endless side",
        "endless sides",
        "many sides",
        "negative",
        "empty shape",
        "long key",
        "runs",
        "pieces",
        "blobs",
    ],
)
def test_a_caffe_model_of_absurd_parts_is_told(tmp_path: Path, layers: list[bytes], reason: str) -> None:
    layer = field(1, b"a") + b"".join(field(7, blob) for blob in layers)
    (tmp_path / "file").write_bytes(field(100, layer))
    with pytest.raises(UnreadableCheckpoint, match=reason):
        opened(tmp_path / "file", frozenset({"caffe"}))


def test_a_caffe_model_of_endless_layers_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(field(100, field(1, b"a") + field(7, FLOATS)) * MANY)
    with pytest.raises(UnreadableCheckpoint, match="more parts than any network"):
        opened(tmp_path / "file", frozenset({"caffe"}))
