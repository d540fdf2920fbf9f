"""Every engine of every service, best first; the last of each row is the embedded default.

An engine is named by where it is found, so that nothing it needs is imported before it is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from infra.serving.engine import Engine, WeightsPath
from infra.serving.settings import Settings
from infra.weights import MissingWeights, WeightsFolder

ENGINES = {
    "masking": {
        "tracer_b7": "infra.preprocess.masking.tracer_b7.engine:TracerB7",
        "embedded": "infra.preprocess.masking.embedded.engine:Embedded",
    },
    "human_parser": {
        "schp": "infra.preprocess.human_parser.schp.engine:Schp",
        "multiclass": "infra.preprocess.human_parser.multiclass.engine:Multiclass",
    },
    "pose_estimation": {
        "openpose": "infra.preprocess.pose_estimation.openpose.engine:OpenPose",
        "blazepose": "infra.preprocess.pose_estimation.blazepose.engine:BlazePose",
    },
    "densepose": {
        "densepose_rcnn": "infra.preprocess.densepose.rcnn.engine:DensePoseRcnn",
        "skeleton": "infra.preprocess.densepose.skeleton.engine:Skeleton",
    },
    "viton": {"geometric": "infra.viton.geometric.engine:Geometric"},
}


class UnknownEngine(ValueError):
    """A setting names an engine that does not exist; the text lists those that do."""


class MissingPackages(Exception):
    """An engine needs packages that are not installed; the text says how to get them."""

    def __init__(self, engine: str, packages: list[str]) -> None:
        needs = " and ".join(packages)
        super().__init__(f"{engine} needs {needs}. Run `make models`, or pip install 'everywear[models]'")


NOT_TO_BE_HAD = (UnknownEngine, MissingPackages, MissingWeights)  # what `choose` raises


@dataclass(frozen=True)
class Choice:
    """An engine, unloaded, and the better ones that `auto` passed over: name -> why, and what would help."""

    engine: Engine[Any, Any]
    passed_over: dict[str, str]


def weights_folder(settings: Settings) -> WeightsFolder:
    """The folder that the settings name, or the user's."""
    return WeightsFolder(settings.weights) if settings.weights else WeightsFolder.default()


def make(service: str, name: str, settings: Settings) -> Engine[Any, Any]:
    """An engine, unloaded. Raises `UnknownEngine`."""
    row = ENGINES[service]
    if name not in row:
        setting = f"EVERYWEAR_{service.upper()}_ENGINE"
        raise UnknownEngine(f"{setting}={name}: there is no such engine; choose auto or one of {', '.join(row)}")
    module, _, attribute = row[name].partition(":")
    return getattr(import_module(module), attribute).configured(settings)


def choose(service: str, settings: Settings, weights: WeightsPath) -> Choice:
    """The engine that the setting asks for: the named one, or the best whose weights and packages are there.

    Raises `UnknownEngine`, or for a named engine `MissingPackages` or `MissingWeights`. With `auto` and no weights at
    all it is the embedded default, whose loading then says what is missing.
    """
    wanted = settings.engine(service)
    if wanted != "auto":
        engine = make(service, wanted, settings)
        _check(engine, weights)
        return Choice(engine, {})
    passed_over: dict[str, str] = {}
    for name in ENGINES[service]:
        engine = make(service, name, settings)
        try:
            _check(engine, weights)
        except MissingPackages as missing:
            passed_over[name] = str(missing)
            continue
        except MissingWeights as missing:
            # Anybody may ask for it: where the folder is concerns only who started the service
            passed_over[name] = str(missing).replace(str(missing.path), missing.path.name)
            continue
        break
    passed_over.pop(engine.name, None)
    return Choice(engine, passed_over)


def _check(engine: Engine[Any, Any], weights: WeightsPath) -> None:
    for identity in engine.weights:
        weights(identity)
    missing = [package for package in engine.requires if find_spec(package) is None]
    if missing:
        raise MissingPackages(engine.name, missing)
