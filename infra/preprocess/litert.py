"""`.tflite` networks on LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np


class LiteRTNetwork:
    """One `.tflite` file with a single picture input. Not for two threads at once: the interpreter keeps state.

    `low`..1 is the range that the network wants its uint8 pixels scaled to (0 or -1).
    """

    def __init__(self, path: Path, threads: int, low: float = 0.0) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        first = self._interpreter.get_input_details()[0]
        self._input = first["index"]
        self._outputs = [out["index"] for out in self._interpreter.get_output_details()]
        self.size = int(first["shape"][1])
        self._low, self._scale = np.float32(low), np.float32((1 - low) / 255)

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """uint8 RGB size x size x 3 -> the outputs in the file's order, float32, without the batch axis."""
        self._interpreter.set_tensor(self._input, (picture * self._scale + self._low)[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
