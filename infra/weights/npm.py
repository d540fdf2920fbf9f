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
    quick = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]  # an unreachable registry is to cost seconds
    result = run_command(
        [client, "pack", spec, "--json", "--ignore-scripts", f"--pack-destination={folder}", *quick], stop
    )
    packed = next(folder.glob("*.tgz"), None)
    if result.returncode != 0 or packed is None:
        raise SourceError(f"npm pack failed: {_npm_reason(result.stdout, result.stderr)}")
    return packed


def _npm_reason(stdout: str, stderr: str) -> str:
    """npm's own one-line account of what went wrong."""
    try:
        return json.loads(stdout)["error"]["summary"].splitlines()[0]
    except (ValueError, LookupError, TypeError, AttributeError):
        return (stderr.strip().splitlines() or ["it wrote no package"])[0]


def _through_registry(registry: str, package: str, version: str, folder: Path, downloader: Downloader) -> Path:
    about = downloader.json(f"{registry}/{quote(package, safe='@')}/{version}")
    try:
        tarball = about["dist"]["tarball"]
    except (LookupError, TypeError) as error:
        raise SourceError(f"the registry {registry} names no file for {package} {version}") from error
    packed = folder / "package.tgz"
    downloader.get(tarball, packed)
    return packed
