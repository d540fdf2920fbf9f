"""npm packages: through the npm client where there is one, else through the registry that its configuration names."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from infra.weights.command import run_command
from infra.weights.download import Downloader, SourceError

ANSWER_SECONDS = 6  # for a package's description, a few kB


def npm_package(package: str, version: str, folder: Path, downloader: Downloader, stop: threading.Event) -> Path:
    """Bring `package` at `version` into `folder`; the path of its .tgz. Nothing of it is run. Raises `SourceError`."""
    client = shutil.which("npm")
    if client is not None:
        return _through_client(client, f"{package}@{version}", folder, stop)
    registry = configured_registry(package, os.environ, Path.cwd())
    if registry is None:
        raise SourceError("no npm client is installed, and npm's configuration names no registry")
    return _through_registry(registry, package, version, folder, downloader)


def configured_registry(package: str, environ: Mapping[str, str], project: Path) -> str | None:
    """The registry that npm would ask for `package`: environment before project's before user's `.npmrc`.

    A scope's own registry (`@scope:registry`) comes before the general one, wherever it is set.
    """
    user_file = environ.get("npm_config_userconfig") or environ.get("NPM_CONFIG_USERCONFIG") or Path.home() / ".npmrc"
    prefix = "npm_config_"
    from_environment = {
        name[len(prefix) :].lower(): value for name, value in environ.items() if name.lower().startswith(prefix)
    }
    layers = [
        from_environment,
        read_npmrc(project / ".npmrc", environ),
        read_npmrc(Path(user_file), environ),
    ]
    scope = [f"{package.split('/')[0]}:registry"] if package.startswith("@") else []
    for key in [*scope, "registry"]:
        for settings in layers:
            if settings.get(key):
                return settings[key].rstrip("/")
    return None


def read_npmrc(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of an `.npmrc`: `key = value` lines, `;` and `#` comments, `${NAME}` from the environment."""
    if not path.is_file():
        return {}
    settings = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, equals, value = line.partition("=")
        if not equals or line.lstrip().startswith((";", "#")):
            continue
        value = re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match[1], match[0]), value.strip().strip("\"'"))
        settings[key.strip()] = value
    return settings


def _through_client(client: str, spec: str, folder: Path, stop: threading.Event) -> Path:
    # npm's time limit holds for a whole download; a small question first, so that a silent registry costs seconds.
    _run_npm([client, "view", spec, "version", f"--fetch-timeout={ANSWER_SECONDS * 1000}"], stop)
    _run_npm([client, "pack", spec, "--ignore-scripts", f"--pack-destination={folder}"], stop)
    packed = next(folder.glob("*.tgz"), None)
    if packed is None:
        raise SourceError("npm pack wrote no package")
    return packed


def _run_npm(command: list[str], stop: threading.Event) -> None:
    """Run npm; a failure is a `SourceError` with npm's own one-line account of it."""
    result = run_command([*command, "--json", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"], stop)
    if result.returncode == 0:
        return
    try:
        reason = json.loads(result.stdout)["error"]["summary"]
    except (ValueError, LookupError, TypeError):
        reason = result.stderr
    raise SourceError(f"npm {command[1]} failed: {next(iter(reason.strip().splitlines()), 'no reason given')}")


def _through_registry(registry: str, package: str, version: str, folder: Path, downloader: Downloader) -> Path:
    about = downloader.json(f"{registry}/{quote(package, safe='@')}/{version}")
    try:
        tarball = about["dist"]["tarball"]
    except (LookupError, TypeError) as error:
        raise SourceError(f"the registry {registry} names no file for {package} {version}") from error
    packed = folder / "package.tgz"
    downloader.get(tarball, packed)
    return packed
