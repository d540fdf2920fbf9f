"""Every engine of every service, best first; the last of each row is the embedded default.

An engine is named by where it is found, so that nothing it needs is imported before it is chosen.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from infra.serving.engine import Engine, WeightsPath
from infra.serving.settings import Settings
from infra.weights import MissingWeights, WeightsFolder

ENGINES = {
    "masking": {"embedded": "infra.preprocess.masking.embedded.engine:Embedded"},
    "human_parser": {"multiclass": "infra.preprocess.human_parser.multiclass.engine:Multiclass"},
    "pose_estimation": {"blazepose": "infra.preprocess.pose_estimation.blazepose.engine:BlazePose"},
    "densepose": {"skeleton": "infra.preprocess.densepose.skeleton.engine:Skeleton"},
    "viton": {"geometric": "infra.viton.geometric.engine:Geometric"},
}


class UnknownEngine(ValueError):
    """A setting names an engine that does not exist; the text lists those that do."""


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


def choose(service: str, settings: Settings, weights: WeightsPath) -> Engine[Any, Any]:
    """The engine that the setting asks for: the named one, or the best whose weights are there.

    Raises `UnknownEngine`, or `MissingWeights` for a named engine. With `auto` and no weights at all it is the
    embedded default, whose loading then says what is missing.
    """
    wanted = settings.engine(service)
    if wanted != "auto":
        engine = make(service, wanted, settings)
        for identity in engine.weights:
            weights(identity)
        return engine
    for name in ENGINES[service]:
        engine = make(service, name, settings)
        try:
            for identity in engine.weights:
                weights(identity)
        except MissingWeights:
            continue
        return engine
    return engine
