"""What an installation is made of: pins, metadata, containers, Makefile. All read from the files themselves."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import infra
from infra.serving.settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PINS = [
    line for line in (ROOT / "backend_requirements.txt").read_text().splitlines() if line and not line.startswith("#")
]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
MACHINES = ["x86_64", "aarch64"]
# service -> port, by the settings' defaults; and a container's name -> service
PORTS = {
    name.removesuffix("_url"): urlsplit(field.default).port
    for name, field in Settings.model_fields.items()
    if name.endswith("_url")
}
SERVICES = {service.replace("_", "-"): service for service in PORTS}
NOT_OURS = {"build", "dist", "node_modules", "out"}


def product_modules() -> Iterator[Path]:
    yield from ROOT.glob("*.py")
    for package in ("infra", "routers"):
        yield from (ROOT / package).rglob("*.py")


def project_files() -> Iterator[Path]:
    """Every file of the project, without environments, caches and what runs have made."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or not (name in NOT_OURS or name.startswith("."))]
        yield from (Path(folder) / name for name in files)


def imported_packages(module: Path) -> set[str]:
    """Top-level names that the module imports, at its head or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for lines in (PROJECT["dependencies"], *extras) for line in lines]


def environment(python: str, machine: str) -> dict[str, str]:
    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": machine}
    return {**default_environment(), **linux, "python_version": python, "python_full_version": f"{python}.4"}


def applying(python: str, machine: str) -> list[Requirement]:
    """The pins that hold for a CPython on Linux."""
    pins = [Requirement(line) for line in PINS]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment(python, machine))]


def test_the_pins_are_exact_versions_and_nothing_else() -> None:
    for line in PINS:
        pin = Requirement(line)
        assert pin.url is None and not pin.extras, line
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), line


def test_conda_environment_has_the_same_pins() -> None:
    conda = yaml.safe_load((ROOT / "backend_requirements.yaml").read_text())
    assert conda["name"] == "everywear"
    (pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    assert pip == PINS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_has_one_pin_that_satisfies_it(python: str, machine: str) -> None:
    pins = applying(python, machine)
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    assert len(versions) == len(pins), "a package is pinned twice"
    for requirement in declared():
        if requirement.marker is None or requirement.marker.evaluate(environment(python, machine)):
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is not pinned"
            assert requirement.specifier.contains(version), f"{requirement} does not allow its pin {version}"


def test_there_is_one_opencv() -> None:
    assert {pin.name for pin in map(Requirement, PINS) if "opencv" in pin.name} == {"opencv-contrib-python-headless"}


def test_the_base_does_not_ask_for_torch() -> None:
    base = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert not base & {Requirement(line).name for line in PROJECT["optional-dependencies"]["models"]}


def test_every_top_level_module_is_installed() -> None:
    assert PYPROJECT["tool"]["setuptools"]["py-modules"] == sorted(path.stem for path in ROOT.glob("*.py"))


def test_every_folder_of_code_is_a_package_and_its_data_are_installed() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["*"]
    for package in ("infra", "routers"):
        for path in (ROOT / package).rglob("*"):
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            assert (path.parent / "__init__.py").exists(), f"{path.parent} has no __init__.py"
            assert path.suffix == ".py" or any(path.match(pattern) for pattern in patterns), f"{path} is left out"


def test_the_version_has_one_source() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "infra.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", infra.__version__)


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == "Apache-2.0"


# Used where it happens to be installed and imports; there is code of ours beside every use
WHERE_INSTALLED = {"torchvision"}


def test_everything_imported_is_a_declared_dependency() -> None:
    allowed = {canonicalize_name(requirement.name) for requirement in declared()} | WHERE_INSTALLED
    ours = {"infra", "routers"} | {path.stem for path in ROOT.glob("*.py")}
    distributions = packages_distributions()
    for module in product_modules():
        for name in imported_packages(module) - ours - set(sys.stdlib_module_names):
            providers = {canonicalize_name(provider) for provider in distributions.get(name, [name])}
            assert providers & allowed, f"{module} imports {name}, which pyproject.toml does not declare"


def test_packages_that_report_usage_or_hold_back_numpy_are_not_imported() -> None:
    for module in product_modules():
        assert not imported_packages(module) & {"mediapipe", "onnxruntime"}, module


def test_no_package_registry_is_written_into_the_project() -> None:
    hosts = (("pypi", "org"), ("files", "pythonhosted", "org"), ("registry", "npmjs", "org"), ("deb", "debian", "org"))
    wanted = re.compile("|".join(re.escape(".".join(host)) for host in hosts).encode())
    found = [path for path in project_files() if wanted.search(path.read_bytes())]
    assert not found


@pytest.mark.parametrize("name", SERVICES)
def test_compose_runs_every_service_on_its_port_with_a_health_check(name: str) -> None:
    port = str(PORTS[SERVICES[name]])
    for container in (COMPOSE[name], COMPOSE[f"{name}-gpu"]):
        command = container["command"]
        assert command[:2] == ["uvicorn", f"{SERVICES[name]}:app"]
        assert command[command.index("--port") + 1] == port == container["environment"]["PORT"]
        assert "PORT" in container["healthcheck"]["test"][-1]
        assert container["read_only"] and "no-new-privileges:true" in container["security_opt"]


@pytest.mark.parametrize("suffix", ["", "-gpu"])
def test_compose_publishes_the_proxy_alone_and_tells_it_of_the_others(suffix: str) -> None:
    proxy = COMPOSE[f"proxy{suffix}"]
    assert proxy["ports"][0].endswith(":8000") and ":-127.0.0.1:" in proxy["ports"][0]
    for name, service in SERVICES.items():
        if service == "proxy":
            continue
        container = COMPOSE[f"{name}{suffix}"]
        url = f"http://{name}{suffix}:{PORTS[service]}"
        assert proxy["environment"][f"EVERYWEAR_{service.upper()}_URL"] == url
        assert proxy["depends_on"][f"{name}{suffix}"] == {"condition": "service_healthy"}
        assert "ports" not in container and container["networks"] == ["fleet"]
        assert container["depends_on"] == {"weights": {"condition": "service_completed_successfully"}}


def test_compose_reserves_gpus_only_in_their_profile() -> None:
    def devices(container: dict[str, Any]) -> list[Any]:
        return container.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])

    for name, container in COMPOSE.items():
        assert (container.get("profiles") == ["gpu"]) == name.endswith("-gpu")
        assert bool(devices(container)) == (name.endswith("-gpu") and name != "proxy-gpu")


def test_the_example_of_settings_names_each_with_its_default() -> None:
    lines = re.findall(r"^#EVERYWEAR_(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    written = {name.lower(): value for name, value in lines}
    assert written.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        default = default.lower() if isinstance(field.default, bool) else default
        assert written[name] == default, name


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("script", "advice"),
    [
        ("exit 127", "does not run"),
        ('echo "3.9"', "is Python 3.9"),
        ('case "$2" in *ensurepip*) exit 1 ;; *) echo "3.12" ;; esac', "apt-get install python3.12-venv"),
    ],
    ids=["absent", "too old", "no venv"],
)
def test_make_says_what_python_lacks(tmp_path: Path, script: str, advice: str) -> None:
    for name in ("Makefile", "pyproject.toml", "backend_requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    run = subprocess.run(["make", "run", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert run.returncode != 0
    assert "Python 3.10 to 3.14" in run.stderr and advice in run.stderr
    assert not (tmp_path / ".venv").exists()
