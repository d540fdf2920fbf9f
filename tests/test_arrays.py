from __future__ import annotations

import contextlib
import io
import pickle
import zipfile

import numpy as np
import pytest

from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving import arrays
from infra.viton.tryon import TryOn


def a_pose(**more: np.ndarray) -> Pose:
    return Pose(np.ones((2, 25, 3), np.float32), np.zeros((2, 2, 21, 3), np.float32), "front", **more)


def picture(height: int = 40, width: int = 30) -> np.ndarray:
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def saved(**named: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **named)
    return out.getvalue()


def test_a_record_survives_the_way_there_and_back():
    given = MaskInput(picture(), "person", a_pose(probability=np.full((40, 30), 7, np.uint8)))
    got = arrays.decode(MaskInput, arrays.encode(given))
    assert got.subject == "person" and got.pose.view == "front" and got.pose.landmarks is None
    np.testing.assert_array_equal(got.picture, given.picture)
    np.testing.assert_array_equal(got.pose.people, given.pose.people)
    np.testing.assert_array_equal(got.pose.probability, given.pose.probability)


def test_plain_values_and_texts_survive():
    got = arrays.decode(Mask, arrays.encode(Mask(np.zeros((4, 5), np.uint8), evidence=1.5, worn=True)))
    assert got.evidence == 1.5 and got.worn is True and got.kinds is None
    for notes in ((), ("one",), ("one", "two: ä")):
        assert arrays.decode(TryOn, arrays.encode(TryOn(picture(), notes))).notes == notes


def test_numpy_reads_what_we_write_and_we_read_what_numpy_writes():
    with np.load(io.BytesIO(arrays.encode(MaskInput(picture()))), allow_pickle=False) as read:
        np.testing.assert_array_equal(read["picture"], picture())
    got = arrays.decode(MaskInput, saved(picture=picture(), subject=np.array("garment")))
    assert got.subject == "garment"


def test_decoded_arrays_are_views_that_cannot_be_written():
    data = arrays.encode(MaskInput(picture()))
    got = arrays.decode(MaskInput, data).picture
    assert not got.flags.writeable and got.flags.c_contiguous and not got.flags.owndata


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({}, "picture is missing"),
        ({"picture": np.zeros((4, 4), np.uint8)}, "picture must be"),
        ({"picture": np.zeros((4, 4, 3), np.float32)}, "picture must be"),
        ({"picture": np.zeros((4, 4, 4), np.uint8)}, "picture must be"),
        ({"picture": np.zeros((0, 4, 3), np.uint8)}, "picture must be"),
        ({"picture": np.asfortranarray(np.zeros((4, 5, 3), np.uint8))}, "Fortran"),
        ({"picture": picture(), "colour": np.zeros(3)}, "unknown arrays: colour"),
        ({"picture": picture(), "subject": np.array(3)}, "subject must be one str"),
        ({"picture": picture(), "pose.view": np.array("front")}, "pose.people is missing"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(named: dict[str, np.ndarray], said: str):
    with pytest.raises(arrays.ArrayError, match=said):
        arrays.decode(MaskInput, saved(**named))


def test_lengths_must_agree_throughout_a_record():
    wrong = MaskInput(picture(), "person", a_pose(probability=np.zeros((41, 30), np.uint8)))
    with pytest.raises(arrays.ArrayError, match="pose.probability"):
        arrays.decode(MaskInput, arrays.encode(wrong))


def test_numbers_must_be_finite():
    pose = a_pose()
    pose.people[0, 0, 0] = np.nan
    with pytest.raises(arrays.ArrayError, match="not finite"):
        arrays.decode(MaskInput, arrays.encode(MaskInput(picture(), "person", pose)))


class Touch:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_refused_and_never_run():
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array([Touch()], dtype=object), allow_pickle=True)
    with pytest.raises(arrays.ArrayError, match="refused"):
        arrays.decode_array(out.getvalue())
    with pytest.raises(arrays.ArrayError, match="not an .npy"):
        arrays.decode_array(pickle.dumps(Touch()))


def test_a_header_that_promises_more_than_is_there_allocates_nothing():
    out = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 20, 3)}
    np.lib.format.write_array_header_1_0(out, header)
    with pytest.raises(arrays.ArrayError, match="promises"):
        arrays.decode_array(out.getvalue() + b"\0" * 64)


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 1000])
def test_cut_or_garbled_bytes_are_an_array_error(cut: int):
    data = arrays.encode(MaskInput(picture()))
    with pytest.raises(arrays.ArrayError):
        arrays.decode(MaskInput, data[: len(data) - cut - 1])
    with pytest.raises(arrays.ArrayError):
        arrays.decode(MaskInput, b"x" * cut)


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "data",
    [
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -3)}", b"123456"),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (0, -5)}"),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (0, %d)}" % 10**30),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (%s)}" % (b"1," * 70), b"1"),
        npy(b"{'descr': ('|u1',), 'fortran_order': False, 'shape': ()}", b"1"),
        npy(b"(" * 3000),
        npy(b"-" * 3900 + b"1"),
        npy(b"'''"),
    ],
)
def test_headers_made_to_trip_the_reader_are_an_array_error(data: bytes):
    with pytest.raises(arrays.ArrayError):
        arrays.decode_array(data)


@pytest.mark.filterwarnings("ignore")
def test_whatever_bytes_are_changed_nothing_but_an_array_error_is_raised():
    good, chance = arrays.encode(MaskInput(picture(4, 4))), np.random.default_rng(1)
    for _ in range(2000):
        data = bytearray(good)
        for at in chance.integers(0, len(data), 3):
            data[at] = chance.integers(256)
        with contextlib.suppress(arrays.ArrayError):
            arrays.decode(MaskInput, bytes(data))


def test_characters_that_do_not_exist_are_refused():
    beyond = np.array("x")
    beyond.view(np.uint32)[...] = 0xFFFFFFFF
    with pytest.raises(arrays.ArrayError, match="characters"):
        arrays.decode(MaskInput, saved(picture=picture(), subject=beyond))


def test_more_arrays_than_any_record_has_are_refused():
    with pytest.raises(arrays.ArrayError, match="more than any record"):
        arrays.decode(MaskInput, saved(**{f"array{n}": np.zeros(1) for n in range(arrays.MOST_ARRAYS + 1)}))


def test_compressed_archives_are_refused():
    out = io.BytesIO()
    np.savez_compressed(out, picture=picture())
    with pytest.raises(arrays.ArrayError, match="compressed"):
        arrays.decode(MaskInput, out.getvalue())


def test_a_name_that_stands_twice_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("picture.npy", arrays.encode_array(picture()))
        archive.writestr("picture.npy", arrays.encode_array(picture()))
    with pytest.raises(arrays.ArrayError, match="twice"):
        arrays.decode(MaskInput, out.getvalue())
