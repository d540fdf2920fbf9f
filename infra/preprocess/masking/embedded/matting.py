"""MODNet (Ke et al. 2022): the soft alpha of people, hair included, on OpenCV's own runtime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from infra.preprocess.masking.subjects.chosen_person import Window

# Multiples of 32. On the person's window alone this is as exact as 480 x 640 on the whole frame, for half the time.
WIDTH, HEIGHT = 384, 512
# Enlarging the network's answer blurs it; a quarter steeper about one half brings the rim back.
_STEEPER = 1.25


class Matting:
    """`modnet.onnx` at one fixed input size."""

    def __init__(self, path: Path) -> None:
        onnx = with_fixed_sizes(path.read_bytes(), batch_size=1, width=WIDTH, height=HEIGHT)
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(onnx, np.uint8))
        self._network.enableFusion(False)  # fused layers answer the same, no faster, and hold 90 MB more

    def __call__(self, picture: np.ndarray, window: Window) -> np.ndarray:
        """Alpha float32 of everybody in the window of uint8 HxWx3 RGB: the window's size, 0 to 255.

        The window is squeezed into 3 : 4 whatever its shape, which does the network no harm.
        """
        part = picture[window]
        small = cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        self._network.setInput(cv2.dnn.blobFromImage(small, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
        matte = self._network.forward()[0, 0]
        matte = cv2.resize(matte, part.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(255 * (_STEEPER * (matte - 0.5) + 0.5), 0, 255)


def with_fixed_sizes(onnx: bytes, **sizes: int) -> bytes:
    """Named sizes of a network's input become numbers, which OpenCV needs.

    TensorShapeProto.Dimension is either field 2, a name, or field 1, a number. A protobuf number may be written
    longer than needed, so the number takes exactly the room of the name and no length field changes.
    """
    for name, size in sizes.items():
        old = b"\x12" + bytes([len(name)]) + name.encode()
        lead, room = b"", len(old)
        if room > 11:  # one number takes 10 bytes at most; of two numbers the first is ignored
            lead, room = b"\x08\x01", room - 2
        groups = [(size >> 7 * k) & 127 | (128 if k < room - 2 else 0) for k in range(room - 1)]
        onnx = onnx.replace(old, lead + b"\x08" + bytes(groups))
    return onnx
