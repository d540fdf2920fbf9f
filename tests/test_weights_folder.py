from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from infra.weights import MissingWeights, WeightsFolder, catalogue, folder
from infra.weights.catalogue import CHECKPOINTS, EMBEDDED_DEFAULT, ENTRIES, entry_of
from infra.weights.entry import Content, Entry, Licence, NpmMember, Url

GOOD, OTHER = b"the network, first published", b"the network, published anew"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Entry:
    contents = [Content(len(data), sha256(data).hexdigest()) for data in (GOOD, OTHER)]
    entry = Entry(
        id="net",
        format="onnx",
        service="masking",
        engine="embedded",
        purpose="for tests",
        licence=Licence("MIT", commercial_use=True),
        sources=(Url("http://127.0.0.1/net.onnx", contents[0]), NpmMember("net", "1.0.0", "net.onnx", contents[1])),
    )
    monkeypatch.setitem(catalogue._BY_ID, "net", entry)
    return entry


@pytest.mark.parametrize("content", [GOOD, OTHER])
def test_every_accepted_content_is_opened(entry: Entry, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    assert WeightsFolder(tmp_path).path("net") == tmp_path / "net.onnx"


@pytest.mark.parametrize("content", [GOOD[:-1], GOOD[:-1] + b"!", b""])
def test_other_bytes_are_never_opened(entry: Entry, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(MissingWeights):
        WeightsFolder(tmp_path).path("net")


def test_the_message_names_the_command_the_place_and_the_hashes(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights) as caught:
        WeightsFolder(tmp_path).path("net")
    text = str(caught.value)
    assert "`everywear weights fetch net`" in text
    assert f"put the file at {tmp_path / 'net.onnx'}" in text
    assert all(content.sha256 in text for content in entry.accepted)


def test_a_folder_that_is_a_file_is_told_plainly(entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingWeights, match="cannot be read"):
        WeightsFolder(tmp_path / "file").path("net")


def test_hashed_once_until_the_file_changes(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def counting() -> object:
        hashed.append(1)
        return sha256()

    monkeypatch.setattr(folder.hashlib, "sha256", counting)
    file, weights = tmp_path / "net.onnx", WeightsFolder(tmp_path)
    file.write_bytes(GOOD)
    weights.path("net")
    weights.path("net")
    assert len(hashed) == 1
    then = file.stat().st_mtime_ns
    file.write_bytes(GOOD[:-1] + b"!")
    os.utime(file, ns=(then, then + 1))
    with pytest.raises(MissingWeights):
        weights.path("net")
    assert len(hashed) == 2


def test_an_id_outside_the_catalogue_names_those_inside(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="pose_detection"):
        WeightsFolder(tmp_path).path("no_such_network")


def test_the_default_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(folder.FOLDER_VARIABLE, str(tmp_path))
    assert WeightsFolder.default().folder == tmp_path
    monkeypatch.delenv(folder.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert WeightsFolder.default().folder.parts[-2:] == ("everywear", "weights")


def test_the_catalogue_holds_together() -> None:
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry_of(entry.id) is entry
        assert len({source.kind for source in entry.sources}) >= 2, "every network has a second place to come from"
        for content in entry.accepted:
            assert len(content.sha256) == 64 and int(content.sha256, 16) and content.size > 1_000_000
        for source in entry.sources:
            if isinstance(source, NpmMember) and source.span:
                assert source.span[1] - source.span[0] == source.gives.size


def test_the_page_about_weights_lists_every_network() -> None:
    page = (Path(__file__).parent.parent / "docs" / "weights.md").read_text(encoding="utf-8")
    for entry in ENTRIES:
        assert f"`{entry.file_name}`" in page
        assert f"| {entry.accepted[0].size / 1e6:.1f} |" in page
        for source in entry.sources:
            assert (source.url if isinstance(source, Url) else source.member) in page


def test_the_page_about_weights_lists_every_checkpoint() -> None:
    page = (Path(__file__).parent.parent / "docs" / "weights.md").read_text(encoding="utf-8")
    for made in CHECKPOINTS:
        rows = [line for line in page.splitlines() if line.startswith("|") and f"`{made.id}`" in line]
        (row,) = [line for line in rows if line.startswith(f"| `{made.id}` | {made.mb:.1f} |")]
        assert made.purpose.partition(",")[0] in row and all(f"`{file.name}`" in row for file in made.files)
        (licence,) = [line for line in rows if f"| {made.licence.name} |" in line]
        assert f"| {'yes' if made.licence.commercial_use else 'no'} |" in licence
        assert all(file.page in page or file.hub.repository in page for file in made.files)


def test_the_embedded_default_is_about_85_mb_and_free_to_use() -> None:
    entries = [entry_of(id) for id in EMBEDDED_DEFAULT]
    assert 80e6 < sum(entry.accepted[0].size for entry in entries) < 90e6
    assert all(entry.licence.commercial_use for entry in entries)
    assert "pose_landmark_full" not in EMBEDDED_DEFAULT
