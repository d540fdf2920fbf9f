"""SCHP, the published human parser, with any of its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infra.imaging.frame import FRAME_HEIGHT, FRAME_WIDTH
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.serving.engine import EngineError, WeightsPath
from infra.serving.settings import Settings
from infra.serving.torch_engine import TorchEngine

if TYPE_CHECKING:
    from infra.serving.torch_runtime import TorchRuntime

# Height and width of the input that each label set's network was published with.
INPUT_SIZES = {"cihp": (473, 473), "lip": (473, 473), "atr": (512, 512), "pascal": (512, 512)}

NOTES = {
    "cihp": "Neckties, belts, bags and other thin or carried things are not labelled.",
    "lip": "The checkpoint labels no neck: it is filled in between the chin and the neckline by the pose.",
    "atr": "The checkpoint counts the neck as face: it is divided at the chin by the pose; gloves and socks are none.",
    "pascal": "The checkpoint knows body parts, not clothes: torso and upper legs are taken for top and trousers.",
}

_NOBODY = EngineError("no_person", "The parser saw nothing of a person. Use a photo that shows one.")


class Schp(TorchEngine[ParseInput, Parse]):
    """Labels of the chosen person; with neither pose nor mask those of everybody in the picture.

    The network needs no pose. It is wanted because it tells whom to crop, whom to leave out and where a neck begins,
    and costs nothing in a fleet, which looks for the person before all else.

    `confidence` is the label's share, 0 to 255, in the softmax of the logits as they lie on the picture; 0 outside
    the crop that was parsed.
    """

    name = "schp"
    wants = ("pose",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.scheme = settings.schp_weights
        self.weights = (f"schp_{self.scheme}",)
        self.note = NOTES[self.scheme]

    def build(self, weights: WeightsPath, runtime: TorchRuntime, threads: int) -> None:
        from infra.preprocess.human_parser.schp.folding import fold
        from infra.preprocess.human_parser.schp.parsing import Parser

        size = INPUT_SIZES[self.scheme]
        folded = fold(runtime.open(self.weights[0], weights), size)
        classifier = folded.classifier.to(runtime.device)
        self.parser = Parser(runtime.prepare(folded.trunk), classifier, self.scheme, size, runtime.dtype)

    def answer(self, batch: list[ParseInput]) -> list[Parse | EngineError]:
        shown = [item for item in batch if max(item.picture.shape[:2]) > 1]  # a single pixel has no scale
        if not shown:
            return [_NOBODY] * len(batch)
        parsed = iter(self.parser.post(self.parser.infer(self.parser.pre(shown)), shown))
        found = [next(parsed) if max(item.picture.shape[:2]) > 1 else None for item in batch]
        return [_NOBODY if parse is None or not parse.labels.any() else parse for parse in found]

    def example(self) -> ParseInput:
        return ParseInput(np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 128, np.uint8))
