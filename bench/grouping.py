"""How long OpenPose's maps take to become people, against the same algorithm written straight down.

    python bench/grouping.py [--repeats 10]

Maps of 1, 5 and 12 painted people, with noise, as the networks give them for a picture of 1024x768, by OpenPose's rules
(BODY_25, CUDA variant) and by its Python port's (COCO-18). The plain implementation upsamples every map to its full
size, and loops over peaks and pairs in Python. Times are of one thread, the best of the repeats. Ends with status 1
where the people differ, or where the ratio is below 10.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, Python looks in this folder only

import cv2
import numpy as np

from infra.preprocess.pose_estimation.keypoints import BODY_25_OF_COCO_18
from infra.preprocess.pose_estimation.openpose.assembly import NO_PEAK, Body, best_first, limb_by_limb
from infra.preprocess.pose_estimation.openpose.inputs import NET_HEIGHT, PORT_SCALE, net_sizes
from infra.preprocess.pose_estimation.openpose.maps import openpose_axis, port_axis
from infra.preprocess.pose_estimation.openpose.pairs import Pairs
from infra.preprocess.pose_estimation.openpose.peaks import MOST_PEAKS, Peaks
from infra.preprocess.pose_estimation.openpose.people import OPENPOSE, PORT, People, openpose_people, port_people
from infra.preprocess.pose_estimation.openpose.skeletons import BODY_25, CELL, COCO_18, Skeleton
from tests.openpose_scenes import paint

WIDTH, HEIGHT = 1024, 768  # of the picture
LEAST_RATIO = 10
NOISE = 0.01  # amplitude on all maps, below the thresholds
# Nobody in particular, arms and legs apart: x, y of the key points of BODY_25 in a box of 1 x 1
FIGURE = np.array([
    (0.5, 0.07), (0.5, 0.17), (0.32, 0.18), (0.24, 0.33), (0.2, 0.47), (0.68, 0.18), (0.76, 0.33), (0.8, 0.47),
    (0.5, 0.5), (0.4, 0.5), (0.38, 0.72), (0.37, 0.93), (0.6, 0.5), (0.62, 0.72), (0.63, 0.93), (0.46, 0.05),
    (0.54, 0.05), (0.41, 0.07), (0.59, 0.07), (0.68, 0.98), (0.72, 0.97), (0.62, 0.96), (0.32, 0.98), (0.28, 0.97),
    (0.38, 0.96),
])  # fmt: skip


def noisy_maps(number: int, skeleton: Skeleton, cells: tuple[int, int]) -> np.ndarray:
    """float32 C x h x w: `number` people in rows of up to six."""
    random = np.random.default_rng(number)
    figure = FIGURE if skeleton is BODY_25 else FIGURE[list(BODY_25_OF_COCO_18)]
    height, width = (CELL * side for side in cells)
    columns = min(number, 6)
    rows = -(-number // columns)
    tall = 0.9 * height / rows
    wide = min(0.5 * tall, 0.95 * width / columns)
    people = []
    for index in range(number):
        row, column = divmod(index, columns)
        corner = (column + 0.5) * width / columns - wide / 2, (row + 0.05) * height / rows
        points = figure * (wide, tall) + corner + random.normal(0, 2, figure.shape)
        people.append({
            "keypoints": [[*point, random.uniform(0.6, 0.95)] for point in points],
            "limbs": random.uniform(0.6, 0.95, len(skeleton.limbs)).tolist(),
        })  # fmt: skip
    scene = {"height": cells[0], "width": cells[1], "cell": CELL, "sigma": 7, "paf_width": 8, "people": people}
    maps = np.concatenate(paint(scene, "BODY_25" if skeleton is BODY_25 else "COCO_18"))
    return maps + random.uniform(-NOISE, NOISE, maps.shape).astype(np.float32)


def plain_openpose_people(maps: np.ndarray, skeleton: Skeleton, back: float) -> People:
    rows, columns = openpose_axis(maps.shape[1]).matrix, openpose_axis(maps.shape[2]).matrix
    large = np.stack([rows @ each @ columns.T for each in maps])
    peaks = []
    for part in range(skeleton.parts):
        heat = large[part]
        middle = heat[1:-1, 1:-1]
        is_peak = middle > OPENPOSE.peak
        for dy in range(3):
            for dx in range(3):
                if (dy, dx) != (1, 1):
                    is_peak &= middle > heat[dy : dy + len(middle), dx : dx + middle.shape[1]]
        for y, x in np.argwhere(is_peak)[:MOST_PEAKS] + 1:
            total, moment_x, moment_y = 0.0, 0.0, 0.0
            for v in range(max(y - 3, 0), min(y + 4, heat.shape[0])):
                for u in range(max(x - 3, 0), min(x + 4, heat.shape[1])):
                    value = max(float(heat[v, u]), 0.0)
                    total, moment_x, moment_y = total + value, moment_x + value * u, moment_y + value * v
            peaks.append((part, moment_x / total + 0.5 / back, moment_y / total + 0.5 / back, heat[y, x]))
    found = _peaks(peaks, skeleton)
    fields = large[skeleton.parts + 1 :]
    pairs = []
    for limb, a, b in _all_pairs(found, skeleton):
        dx, dy = float(found.x[b] - found.x[a]), float(found.y[b] - found.y[a])
        length = float(np.hypot(dx, dy))
        if length <= 1e-6:
            continue
        count = min(max(int(np.sqrt(5 * max(abs(dx), abs(dy))) + 0.5), 5), 25)
        channel = skeleton.channels[limb]
        kept = []
        for sample in range(count):
            x = min(max(int(found.x[a] + sample * dx / count + 0.5), 0), fields.shape[2] - 1)
            y = min(max(int(found.y[a] + sample * dy / count + 0.5), 0), fields.shape[1] - 1)
            value = (fields[channel, y, x] * dx + fields[channel + 1, y, x] * dy) / length
            if value > OPENPOSE.field.least:
                kept.append(value)
        if len(kept) / count > OPENPOSE.field.share:
            pairs.append((limb, a, b, sum(kept) / len(kept)))
        elif length < np.sqrt(fields.shape[1] * fields.shape[2]) / 150:
            pairs.append((limb, a, b, OPENPOSE.field.least + 1e-6))
    bodies = [each for each in best_first(_pairs(pairs), found, skeleton) if _is_whole(each, 3, skeleton.feet)]
    return _people(bodies, found, skeleton, back)


def plain_port_people(maps: np.ndarray, skeleton: Skeleton, net_input: tuple[int, int]) -> People:
    maps = np.concatenate([np.maximum(maps[: skeleton.parts], 0), maps[skeleton.parts :]])
    large = cv2.resize(np.ascontiguousarray(maps.transpose(1, 2, 0)), None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    large = cv2.resize(large[: net_input[0], : net_input[1]], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    peaks = []
    for part in range(skeleton.parts):
        heat = large[..., part]
        smooth = cv2.GaussianBlur(heat, (25, 25), 3, borderType=cv2.BORDER_REFLECT)
        framed = np.pad(smooth, 1)
        is_peak = smooth > PORT.peak
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            is_peak &= smooth >= framed[dy : dy + HEIGHT, dx : dx + WIDTH]
        peaks += [(part, x, y, heat[y, x]) for y, x in np.argwhere(is_peak)]
    found = _peaks(peaks, skeleton)
    fields = large[..., skeleton.parts + 1 :]
    pairs = []
    for limb, a, b in _all_pairs(found, skeleton):
        start = np.array((found.x[a], found.y[a]), float)
        line = (found.x[b], found.y[b]) - start
        length = max(float(np.hypot(*line)), 0.001)
        channel = skeleton.channels[limb]
        values = []
        for x, y in np.rint(np.linspace(start, start + line, 10)).astype(int):
            values.append(float(fields[y, x, channel : channel + 2] @ line) / length)
        score = sum(values) / 10 + min(0.5 * HEIGHT / length - 1, 0)
        if sum(value > PORT.field.least for value in values) > 8 and score > 0:
            pairs.append((limb, a, b, score))
    bodies = [each for each in limb_by_limb(_pairs(pairs), found, skeleton) if _is_whole(each, 4, ())]
    return _people(bodies, found, skeleton, 1.0)


def _peaks(peaks: list[tuple[int, float, float, float]], skeleton: Skeleton) -> Peaks:
    part, x, y, score = (np.array(each) for each in zip(*peaks))
    return Peaks(part, x, y, score, skeleton.parts)


def _all_pairs(peaks: Peaks, skeleton: Skeleton) -> list[tuple[int, int, int]]:
    places = [range(peaks.starts[part], peaks.starts[part + 1]) for part in range(skeleton.parts)]
    ends = enumerate(skeleton.limbs)
    return [(limb, i, j) for limb, (a, b) in ends for i in places[a] for j in places[b]]


def _pairs(pairs: list[tuple[int, int, int, float]]) -> Pairs:
    return Pairs(*(np.array(each) for each in zip(*pairs)))


def _is_whole(body: Body, least: int, feet: tuple[int, ...]) -> bool:
    of_feet = sum(body.members[part] != NO_PEAK for part in feet)
    count = body.count - of_feet
    return not (of_feet and count <= 4) and count >= least and body.total / count >= 0.4


def _people(bodies: list[Body], peaks: Peaks, skeleton: Skeleton, back: float) -> People:
    key_points = np.zeros((len(bodies), skeleton.parts, 3), np.float32)
    for index, body in enumerate(bodies):
        for part, peak in enumerate(body.members):
            if peak != NO_PEAK:
                key_points[index, part] = peaks.x[peak] * back, peaks.y[peak] * back, peaks.score[peak]
    totals = np.array([body.total for body in bodies])
    return People(key_points, totals / (skeleton.parts + len(skeleton.limbs)))


def seconds(function: Callable[[], People], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        begin = time.thread_time()
        function()
        taken.append(time.thread_time() - begin)
    return min(taken)


def compared(name: str, number: int, plain: Callable[[], People], ours: Callable[[], People], repeats: int) -> bool:
    """Prints a line; whether the people are the same and found fast enough."""
    expected, found = plain(), ours()
    # A hundredth of a pixel: sums of float32 in another order
    same = found.key_points.shape == expected.key_points.shape and np.allclose(
        found.key_points, expected.key_points, atol=0.01
    )
    slow, fast = seconds(plain, max(repeats // 5, 1)), seconds(ours, repeats)
    print(
        f"{name:<9}{number:>3} people, found {len(found.scores):>2} ({'the same' if same else 'NOT the same'}): "
        f"plain {1000 * slow:7.1f} ms, ours {1000 * fast:5.1f} ms, {slow / fast:5.1f} times as fast"
    )
    return same and slow >= LEAST_RATIO * fast


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=10)
    repeats = arguments.parse_args().repeats
    cv2.setNumThreads(1)
    size = net_sizes(WIDTH, HEIGHT)[0]
    back = size.back(WIDTH, HEIGHT)
    small = round(NET_HEIGHT * PORT_SCALE), round(WIDTH * NET_HEIGHT * PORT_SCALE / HEIGHT)
    port_cells = -(-small[0] // CELL), -(-small[1] // CELL)
    axes = [port_axis(*each) for each in zip(port_cells, small, (HEIGHT, WIDTH))]
    fine = []
    for number in (1, 5, 12):
        maps = noisy_maps(number, BODY_25, (size.height // CELL, size.width // CELL))
        fine.append(compared(
            "openpose", number, lambda: plain_openpose_people(maps, BODY_25, back),  # noqa: B023 called right here
            lambda: openpose_people(maps, BODY_25, back), repeats,  # noqa: B023
        ))  # fmt: skip
    for number in (1, 5, 12):
        maps = noisy_maps(number, COCO_18, port_cells)
        fine.append(compared(
            "port", number, lambda: plain_port_people(maps, COCO_18, small),  # noqa: B023
            lambda: port_people(maps, COCO_18, *axes), repeats,  # noqa: B023
        ))  # fmt: skip
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
