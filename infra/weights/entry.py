"""What the catalogue is made of: networks, the files they were published in, and where those are to be had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import urlsplit

SourceKind = Literal["url", "npm", "pypi", "hub"]
CheckpointFormat = Literal["torch", "detectron2", "caffe"]


@dataclass(frozen=True)
class Content:
    """The exact bytes of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Digest:
    """A hash that the publisher, or a hub, states for a file, in hex."""

    algorithm: Literal["md5", "sha256", "sha512"]
    value: str

    @property
    def name(self) -> str:
        """As people write it: SHA-256."""
        return self.algorithm.upper().replace("SHA", "SHA-")


@dataclass(frozen=True)
class Licence:
    """`commercial_use` tells whether the weights may be used in a paid service; `note` what else a user should know."""

    name: str
    commercial_use: bool
    note: str = ""


@dataclass(frozen=True)
class Url:
    """A file that the publisher, or a hub, serves over HTTP."""

    kind: ClassVar[SourceKind] = "url"
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

    kind: ClassVar[SourceKind] = "npm"
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

    kind: ClassVar[SourceKind] = "pypi"
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
class Hub:
    """A file in a Hugging Face repository, at one commit."""

    repository: str
    revision: str
    file: str

    @property
    def whereabouts(self) -> str:
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision}/{self.file}"


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file that a checkpoint was published as.

    `mb` is about how large it is, in millions of bytes. A file with neither `hub` nor `urls` is brought by hand, from
    `page`, where the publisher says how to get it.
    """

    name: str
    format: CheckpointFormat
    mb: float
    page: str
    digest: Digest | None = None
    hub: Hub | None = None
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NameMap:
    """From a file's names to the network's. Every pattern is a regular expression, matched at the start of a name.

    `wrappers` are keys of a file's outermost mapping under which the tensors may lie. `prefixes` are taken off where
    they stand; then every match of a `replacements` pattern, anywhere in the name, is replaced. `dropped` names are
    left out and reported. `constants` are left out too, but only where they hold the values that the network has
    built in. `filled` names may be absent and then hold one value throughout. `foreign` names tell that this is another
    network, and which.
    """

    wrappers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = (r"module\.",)
    replacements: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    constants: tuple[tuple[str, tuple[float, ...]], ...] = ()
    filled: tuple[tuple[str, float], ...] = ()
    foreign: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """What every network of the catalogue has, whatever form it comes in."""

    id: str
    service: str
    engine: str
    purpose: str
    licence: Licence

    @property
    @abstractmethod
    def file_name(self) -> str:
        """The file's name in the weights folder."""

    @property
    @abstractmethod
    def mb(self) -> float:
        """How large what is downloaded is, in millions of bytes."""


@dataclass(frozen=True, kw_only=True)
class Entry(Network):
    """A network that is run as it was published, byte for byte; `sources` are tried in order."""

    format: Literal["tflite", "onnx"]
    sources: tuple[Source, ...]
    optional: bool = False  # not among what the embedded default needs; fetched when named

    @property
    def file_name(self) -> str:
        return f"{self.id}.{self.format}"

    @property
    def mb(self) -> float:
        return self.accepted[0].size / 1e6

    @property
    def accepted(self) -> tuple[Content, ...]:
        """Every content that is this network, each once, in the order of the sources."""
        return tuple(dict.fromkeys(source.gives for source in self.sources))


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Network):
    """A network whose published file is turned into one `.safetensors` file, once, by import.

    `builder` is the import path, `module:function`, of what makes the bare network under the published names; `files`
    are the forms it was published in, the one to fetch first.
    """

    builder: str
    files: tuple[PublishedFile, ...]
    names: NameMap = NameMap()

    @property
    def file_name(self) -> str:
        return f"{self.id}.safetensors"

    @property
    def mb(self) -> float:
        return self.files[0].mb

    @property
    def fetchable(self) -> bool:
        """Whether any of its files has an address that a program can download from."""
        return any(file.hub or file.urls for file in self.files)
