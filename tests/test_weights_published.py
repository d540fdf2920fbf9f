from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner
from weights_server import FileServer, Served

from infra.weights import MissingWeights, WeightsFolder, catalogue, cli, download, importing
from infra.weights.catalogue import CHECKPOINTS, entry_of
from infra.weights.entry import Checkpoint, Digest, Licence
from infra.weights.importing import ModelsMissing, hashes_of
from infra.weights.published import LicenceNotAccepted, NotFetched, fetch_checkpoint
from tests.weights_checkpoints import build_large, checkpoint, tensors, write

ROOT = Path(__file__).parent.parent
RESEARCH = Licence("research only", commercial_use=False, note="Ask the authors.")
REVISION = "0123456789" * 4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def weights(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights")


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return write(tmp_path / "published", "zip", tensors()).read_bytes()


@pytest.fixture
def known(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checkpoint]:
    """Puts a checkpoint that lies at `/tiny.pth` of the server into the catalogue."""

    def known(**changes: object) -> Checkpoint:
        made = checkpoint(**{"urls": (f"{server.url}/tiny.pth",), **changes})
        monkeypatch.setitem(catalogue._BY_ID, made.id, made)
        return made

    return known


def digest(content: bytes, tmp_path: Path, algorithm: str = "sha512") -> Digest:
    (tmp_path / "hashed").write_bytes(content)
    return Digest(algorithm, hashes_of(tmp_path / "hashed", {algorithm})[algorithm])


def left(weights: WeightsFolder) -> set[str]:
    """Every file of the folder, by its path there."""
    files = {str(path.relative_to(weights.folder)) for path in weights.folder.rglob("*") if path.is_file()}
    return files - {".fetching.lock"}


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_a_fetched_checkpoint_is_checked_and_imported_and_the_download_goes(
    known, server, weights, content, tmp_path, algorithm
) -> None:
    server.files["/tiny.pth"] = Served(content, cuts=[900])
    made = known(digest=digest(content, tmp_path, algorithm))
    imported = fetch_checkpoint(made, weights, accepted=False)
    assert imported.known and imported.source == "tiny.pth" and weights.path("tiny")
    assert left(weights) == {"tiny.safetensors"}
    assert server.asked["/tiny.pth"] == [None, "bytes=900-"]
    assert fetch_checkpoint(made, weights, accepted=False) is None and len(server.asked["/tiny.pth"]) == 2


def test_a_file_with_another_hash_is_never_imported(known, server, weights, content, tmp_path) -> None:
    server.files["/tiny.pth"] = Served(content)
    made = known(digest=digest(content + b"!", tmp_path))
    with pytest.raises(NotFetched, match="has another SHA-512"):
        fetch_checkpoint(made, weights, accepted=True)
    assert not left(weights) and not (weights.folder / ".downloads").exists()
    with pytest.raises(MissingWeights):
        weights.path("tiny")


def test_the_next_place_is_tried(known, server, weights, content, tmp_path) -> None:
    server.files["/wrong"] = Served(content[:-1])
    server.files["/right"] = Served(content)
    urls = tuple(f"{server.url}/{name}" for name in ("absent", "wrong", "right"))
    made = known(urls=urls, digest=digest(content, tmp_path))
    assert fetch_checkpoint(made, weights, accepted=True).known
    assert [len(server.asked[path]) for path in ("/absent", "/wrong", "/right")] == [1, 1, 1]


@pytest.mark.parametrize("body", [b"<html>Too many downloads</html>", b"cos\nsystem\n(S'false'\ntR.", b""])
def test_what_is_no_checkpoint_is_told_and_thrown_away(known, server, weights, body) -> None:
    server.files["/tiny.pth"] = Served(body)
    with pytest.raises(NotFetched, match="web page|hostile|is empty") as caught:
        fetch_checkpoint(known(), weights, accepted=True)
    assert "get tiny.pth from https://example.invalid/page" in str(caught.value)
    assert "everywear weights import tiny FILE" in str(caught.value)
    assert not left(weights) and not (weights.folder / ".downloads").exists()


def test_a_download_without_end_is_not_taken(known, server, weights) -> None:
    server.files["/tiny.pth"] = Served(b"\0" * 1_000_000)
    with pytest.raises(NotFetched, match="longer there than this network"):
        fetch_checkpoint(known(), weights, accepted=True)
    assert not left(weights)


def test_a_licence_is_shown_and_must_be_accepted(known, server, weights, content) -> None:
    server.files["/tiny.pth"] = Served(content)
    made = known(licence=RESEARCH)
    with pytest.raises(LicenceNotAccepted) as caught:
        fetch_checkpoint(made, weights, accepted=False)
    text = str(caught.value)
    assert "research only" in text and "Ask the authors." in text
    assert "everywear weights fetch tiny --accept-license" in text
    assert "/tiny.pth" not in server.asked
    assert fetch_checkpoint(made, weights, accepted=True)


def test_without_torch_nothing_is_downloaded(known, server, weights, monkeypatch) -> None:
    monkeypatch.setattr(importing, "LIBRARIES", ("no_such_library",))
    with pytest.raises(ModelsMissing):
        fetch_checkpoint(known(), weights, accepted=True)
    assert not server.asked


def test_only_the_chosen_kinds_of_source_are_asked(known, server, weights, content) -> None:
    server.files["/tiny.pth"] = Served(content)
    with pytest.raises(NotFetched, match="No source of the chosen kinds has it"):
        fetch_checkpoint(known(), weights, accepted=True, kinds=("hub",))
    assert not server.asked


FETCHING = """
import sys
from pathlib import Path
from infra.weights import WeightsFolder, catalogue
from infra.weights.entry import Hub
from infra.weights.published import fetch_checkpoint
from tests.weights_checkpoints import checkpoint

kind, place, folder, builder = sys.argv[1:]
where = {"urls": (place,)} if kind == "url" else {"hub": Hub(*place.split(":"))}
made = catalogue._BY_ID["tiny"] = checkpoint("build_" + builder, mb=2, **where)
fetch_checkpoint(made, WeightsFolder(Path(folder)), accepted=True)
"""


def fetching(
    kind: str, place: str, weights: WeightsFolder, builder: str = "tiny", **environment: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCHING, kind, place, str(weights.folder), builder]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_fetch_goes_on_where_it_stopped(known, server, weights, tmp_path) -> None:
    half_way = threading.Event()
    content = write(tmp_path / "published", "zip", tensors(build_large)).read_bytes()
    server.files["/tiny.pth"] = Served(content, half_way=half_way)
    made = known(builder="build_large", mb=2)
    part = weights.folder / ".downloads" / "tiny" / "tiny.pth.part"
    with fetching("url", f"{server.url}/tiny.pth", weights, "large") as process:
        for _ in range(2000):
            if part.exists() and part.stat().st_size:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    already = part.stat().st_size
    half_way.set()
    fetch_checkpoint(made, weights, accepted=True)
    assert server.asked["/tiny.pth"] == [None, f"bytes={already}-"]
    assert left(weights) == {"tiny.safetensors"}


def test_a_fetch_that_was_stopped_while_importing_downloads_nothing_again(known, server, weights, content) -> None:
    folder = weights.folder / ".downloads" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.pth").write_bytes(content)
    assert fetch_checkpoint(known(), weights, accepted=True)
    assert not server.asked and left(weights) == {"tiny.safetensors"}


def test_the_hubs_own_library_asks_its_own_endpoint(known, server, weights, content) -> None:
    path = f"/someone/tiny/resolve/{REVISION}/tiny.pth"
    server.files[path] = Served(content, headers={"X-Repo-Commit": REVISION})
    made = known()
    with fetching("hub", f"someone/tiny:{REVISION}:tiny.pth", weights, HF_ENDPOINT=server.url) as process:
        assert process.wait(timeout=60) == 0, process.stderr.read()
    assert server.asked[path] and weights.fault(made) is None and left(weights) == {"tiny.safetensors"}


def test_a_hub_that_does_not_have_it_is_told(known, server, weights) -> None:
    with fetching("hub", f"someone/tiny:{REVISION}:tiny.pth", weights, HF_ENDPOINT=server.url) as process:
        assert process.wait(timeout=60) == 1
        said = process.stderr.read()
    assert "tiny.pth at the hub: the hub does not give it" in said and "By hand: get tiny.pth from" in said


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_wants_a_token_is_told(known, server, weights, status: int) -> None:
    server.files[f"/someone/tiny/resolve/{REVISION}/tiny.pth"] = Served(b"", statuses=[status] * 10)
    with fetching("hub", f"someone/tiny:{REVISION}:tiny.pth", weights, HF_ENDPOINT=server.url) as process:
        assert process.wait(timeout=60) == 1
        assert "HF_TOKEN" in process.stderr.read()


@pytest.fixture
def command(known, weights, monkeypatch: pytest.MonkeyPatch):
    """`everywear weights ...` with one checkpoint that is not free in the catalogue."""
    made = known(licence=RESEARCH)
    monkeypatch.setattr(cli, "CHECKPOINTS", (made,))
    return lambda *words: CliRunner().invoke(cli.app, [*words, "--folder", str(weights.folder)])


def test_the_command_wants_the_licence_accepted_and_is_silent_the_second_time(command, server, content) -> None:
    server.files["/tiny.pth"] = Served(content)
    refused = command("fetch", "tiny")
    assert refused.exit_code == 1 and "Ask the authors." in refused.output
    fetched = command("fetch", "tiny", "--accept-license")
    assert fetched.exit_code == 0 and "8 tensors" in fetched.output and "no commercial use" in fetched.output
    again = command("fetch", "tiny")
    assert again.exit_code == 0 and again.output.strip() == ""


def test_the_command_fails_with_what_helps(command) -> None:
    result = command("fetch", "tiny", "--accept-license")
    assert result.exit_code == 1 and "answered 404" in result.output
    assert "everywear weights import tiny FILE" in result.output and "Traceback" not in result.output


@pytest.mark.parametrize("made", CHECKPOINTS, ids=lambda made: made.id)
def test_missing_weights_name_the_one_command_that_helps(made: Checkpoint, weights) -> None:
    with pytest.raises(MissingWeights) as caught:
        weights.path(made.id)
    if not made.fetchable:
        assert f"everywear weights import {made.id} FILE" in str(caught.value)
        assert made.files[0].name in str(caught.value) and made.files[0].page in str(caught.value)
    elif made.licence.commercial_use:
        assert f"`everywear weights fetch {made.id}`" in str(caught.value)
    else:
        assert f"`everywear weights fetch {made.id} --accept-license`" in str(caught.value)


@pytest.mark.parametrize("accepted", [True, False])
def test_what_only_browsers_get_is_fetched_by_hand(weights, accepted: bool) -> None:
    with pytest.raises(NotFetched) as caught:
        fetch_checkpoint(entry_of("schp_cihp"), weights, accepted)
    text = str(caught.value)
    assert "exp_schp_multi_cihp_global.pth or exp_schp_multi_cihp_local.pth from https://github.com/" in text
    assert "everywear weights import schp_cihp FILE" in text


def test_the_catalogue_of_checkpoints_holds_together() -> None:
    lengths = {"md5": 32, "sha256": 64, "sha512": 128}
    names = [file.name for made in CHECKPOINTS for file in made.files]
    assert len(set(names)) == len(names), "a file's name tells whose it is"
    for made in CHECKPOINTS:
        assert entry_of(made.id) is made and made.licence.note
        for file in made.files:
            assert file.page.startswith("https://") and 90 < file.mb < 300
            if file.digest:
                assert len(file.digest.value) == lengths[file.digest.algorithm] and int(file.digest.value, 16)
            if file.hub:
                assert file.hub.file == file.name and len(file.hub.revision) == 40
            assert all(url.endswith(f"/{file.name}") for url in file.urls)
