"""How long a try-on takes through the proxy's public API, and where the time goes.

    python bench/tryon.py [--requests 50] [--url http://127.0.0.1:8000]

Starts a fleet of its own on free ports, or measures the one at `--url`. Three cases, `--requests` each: a person and a
garment never seen before; the same person in another garment; both seen before. Pictures are made new by a change of
a few pixels in a corner, so that nothing can come from a cache. Prints p50 and p95, the split by step, and what share
of the whole is neither model nor geometry; docs/architecture.md says how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, Python looks in this folder only

from infra.serving.timing import durations
from tests.fleet import running_fleet

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def jpegs(folder: str) -> list[np.ndarray]:
    return [cv2.imread(str(path)) for path in sorted((SAMPLES / folder).glob("*.jpg"))]


def fresh(pictures: list[np.ndarray]) -> Iterator[bytes]:
    """Endless different JPEGs of the pictures, in turn."""
    for count, picture in enumerate(itertools.cycle(pictures)):
        marked = picture.copy()
        marked[:8, :8] = np.array([count * 37 % 256, count * 91 % 256, count % 256], np.uint8)
        yield cv2.imencode(".jpg", marked, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def measure(name: str, requests: int, ask: Callable[[], httpx.Response]) -> None:
    seconds, steps = [], []
    for _ in range(requests):
        begin = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - begin)
        answer.raise_for_status()
        steps.append(durations(answer.headers["server-timing"]))
    p50, p95 = statistics.median(seconds), float(np.percentile(seconds, 95))
    print(f"\n{name}: p50 {1000 * p50:.0f} ms, p95 {1000 * p95:.0f} ms ({requests} requests)")
    for step in dict.fromkeys(itertools.chain(*steps)):
        print(f"  {step:<24}{1000 * statistics.median([each.get(step, 0.0) for each in steps]):7.0f} ms")
    rest = [1 - each["work"] / total for each, total in zip(steps, seconds, strict=True)]
    print(f"  neither model nor geometry: {statistics.median(rest):.1%} of the whole")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=50)
    arguments.add_argument("--url", help="a running fleet's proxy")
    given = arguments.parse_args()
    with contextlib.ExitStack() as stack:
        url = given.url or stack.enter_context(running_fleet())
        http = stack.enter_context(httpx.Client(timeout=120, trust_env=False))

        def ask(person: bytes, garment: bytes) -> httpx.Response:
            files = {"person": ("person.jpg", person), "garment": ("garment.jpg", garment)}
            return http.post(f"{url}/v1/tryon", files=files, data={"kind": "upper"})

        persons, garments = fresh(jpegs("person")), fresh(tops())
        for _ in range(3):
            ask(next(persons), next(garments)).raise_for_status()
        measure("new person, new garment", given.requests, lambda: ask(next(persons), next(garments)))
        person, garment = next(persons), next(garments)
        measure("same person, new garment", given.requests, lambda: ask(person, next(garments)))
        measure("both seen before", given.requests, lambda: ask(person, garment))


def tops() -> list[np.ndarray]:
    names = ("longsleeve_check", "polo", "tank_top", "tshirt_dark", "tshirt_striped_print", "tshirt_white")
    return [cv2.imread(str(SAMPLES / "garment" / f"{name}.jpg")) for name in names]


if __name__ == "__main__":
    main()
