from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from weights_server import FileServer, Served

from infra.weights import download
from infra.weights.download import Downloader, SourceError

FILE = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def downloader() -> Iterator[Downloader]:
    downloader = Downloader(threading.Event())
    yield downloader
    downloader.close()


def get(downloader: Downloader, server: FileServer, part: Path) -> bytes:
    downloader.get(f"{server.url}/net", part, {len(FILE)})
    return part.read_bytes()


def test_a_cut_connection_is_resumed_where_it_broke(server, downloader, tmp_path) -> None:
    server.files["/net"] = Served(FILE, cuts=[1000, 50_000])
    assert get(downloader, server, tmp_path / "part") == FILE
    assert server.asked["/net"] == [None, "bytes=1000-", "bytes=51000-"]


def test_a_later_run_goes_on_from_what_an_earlier_one_left(server, downloader, tmp_path) -> None:
    server.files["/net"] = Served(FILE, cuts=[70_000, 0, 0, 0])
    with pytest.raises(SourceError, match="again and again"):
        get(downloader, server, tmp_path / "part")
    server.asked.clear()
    assert get(Downloader(threading.Event()), server, tmp_path / "part") == FILE
    assert server.asked["/net"] == ["bytes=70000-"]


def test_a_file_that_is_complete_is_not_asked_for_again(server, downloader, tmp_path) -> None:
    server.files["/net"] = Served(FILE)
    get(downloader, server, tmp_path / "part")
    get(downloader, server, tmp_path / "part")
    assert len(server.asked["/net"]) == 1


def test_a_file_that_changed_meanwhile_is_begun_anew(server, downloader, tmp_path) -> None:
    server.files["/net"] = Served(bytes(len(FILE)), etag='"old"', cuts=[1000, 0, 0, 0])
    with pytest.raises(SourceError):
        get(downloader, server, tmp_path / "part")
    server.files["/net"] = Served(FILE, etag='"new"')
    assert get(downloader, server, tmp_path / "part") == FILE


@pytest.mark.parametrize("manners", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}])
def test_a_server_that_cannot_resume_is_asked_for_the_whole(server, downloader, tmp_path, manners) -> None:
    server.files["/net"] = Served(FILE, cuts=[200_000], **manners)
    assert get(downloader, server, tmp_path / "part") == FILE


def test_a_server_that_always_breaks_at_the_same_byte_is_given_up(server, downloader, tmp_path) -> None:
    server.files["/net"] = Served(FILE, ranges=False, cuts=[1000] * 20)
    with pytest.raises(SourceError, match="again and again"):
        get(downloader, server, tmp_path / "part")
    assert len(server.asked["/net"]) == 1 + download.FRUITLESS_ATTEMPTS


@pytest.mark.parametrize("content", [FILE[:-1], FILE + b"!"])
def test_a_file_of_another_length_is_not_even_begun(server, downloader, tmp_path, content) -> None:
    server.files["/net"] = Served(content)
    with pytest.raises(SourceError, match="not this network's size"):
        get(downloader, server, tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, downloader, tmp_path) -> None:
    server.files["/net"] = Served(FILE, statuses=[503, 429])
    assert get(downloader, server, tmp_path / "part") == FILE
    with pytest.raises(SourceError, match="answered 404"):
        downloader.get(f"{server.url}/absent", tmp_path / "absent")
    assert len(server.asked["/absent"]) == 1


def test_a_refusing_host_is_remembered(downloader, tmp_path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        for _ in range(2):
            with pytest.raises(SourceError, match=f"{host} cannot be reached"):
                downloader.get(f"http://{host}/net", tmp_path / "part")


def test_a_silent_host_costs_its_time_limit_once(downloader, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(download, "OPEN_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.1)
        for _ in range(2):
            with pytest.raises(SourceError, match="cannot be reached"):
                downloader.get(f"http://127.0.0.1:{silent.getsockname()[1]}/net", tmp_path / "part")
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_an_unusable_address_is_an_ordinary_failure(downloader, tmp_path) -> None:
    for address in ("no address at all", "http://[broken/net"):
        with pytest.raises(SourceError):
            downloader.get(address, tmp_path / "part")


def test_stopping_ends_a_transfer(server, tmp_path) -> None:
    stop = threading.Event()
    server.files["/net"] = Served(FILE)
    with pytest.raises(SourceError, match="stopped"):
        Downloader(stop).get(f"{server.url}/net", tmp_path / "part", report=lambda done: stop.set())
