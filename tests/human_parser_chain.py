"""The embedded engines from photo to parse, for the human parser's tests."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from infra.preprocess.human_parser.multiclass.engine import Multiclass
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.preprocess.masking.embedded.engine import Embedded
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.pose_estimation.blazepose.engine import BlazePose
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import WeightsPath
from tests.conftest import SAMPLES, read_rgb


class Chain:
    """Pose, mask and parse of single pictures; what was asked of a sample is kept."""

    def __init__(self, weights: WeightsPath) -> None:
        self.pose, self.mask, self.parser = BlazePose(), Embedded(), Multiclass()
        for engine in (self.pose, self.mask, self.parser):
            engine.load(weights, threads=1)
        self.sample = lru_cache(self._sample)

    def look(self, picture: np.ndarray) -> tuple[Pose, Mask]:
        [pose] = self.pose.run([PoseInput(picture)])
        assert isinstance(pose, Pose), pose
        [mask] = self.mask.run([MaskInput(picture, pose=pose)])
        assert isinstance(mask, Mask), mask
        return pose, mask

    def parse(self, picture: np.ndarray) -> Parse:
        pose, mask = self.look(picture)
        [parse] = self.parser.run([ParseInput(picture, pose, mask)])
        assert isinstance(parse, Parse), parse
        return parse

    def _sample(self, name: str) -> tuple[np.ndarray, Pose, Mask, Parse]:
        picture = read_rgb(SAMPLES / "person" / f"{name}.jpg")
        pose, mask = self.look(picture)
        [parse] = self.parser.run([ParseInput(picture, pose, mask)])
        return picture, pose, mask, parse
