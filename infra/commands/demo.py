"""`everywear demo`: the fleet up, the sample person dressed, and everything on the way written down."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from pathlib import Path

import cv2
import httpx
import numpy as np
from rich.console import Console
from rich.table import Column, Table

from infra.commands import up
from infra.commands.tryon import Refused, dress, post
from infra.serving.settings import Settings
from infra.serving.timing import durations

SAMPLES = up.ROOT / "samples"
PERSON, GARMENT = SAMPLES / "person" / "woman_tshirt_jeans.jpg", SAMPLES / "garment" / "longsleeve_check.jpg"
OUT = Path("out")

# The intermediate maps: file in the zip of `POST /v1/inputs` -> file in the out folder
MAPS = {
    "mask/person.png": "mask.png",
    "image-parse-v3/person.png": "parse.png",
    "openpose_img/person_rendered.png": "pose.png",
    "image-densepose/person.jpg": "densepose.jpg",
    "cloth-mask/garment.jpg": "garment_mask.jpg",
}

_GAP = 12  # white pixels between the pictures of the sheet


def run(settings: Settings, once: bool, console: Console) -> int:
    """Exit code 0 when the sample came out."""
    outcome = []

    async def then(settings: Settings) -> bool:
        outcome.append(await asyncio.to_thread(dress_sample, settings.url("proxy"), OUT, console))
        return not once and outcome[0]

    code = up.run(settings, console, then)
    return code if outcome and outcome[0] else 1


def dress_sample(proxy_url: str, out: Path, console: Console) -> bool:
    """Dress the sample through the public API; write the sheet and the maps; tell what took how long."""
    begin = time.perf_counter()
    try:
        answer = dress(proxy_url, PERSON, GARMENT, "upper", "image/png")
        seconds = time.perf_counter() - begin
        files = {"person": (PERSON.name, PERSON.read_bytes()), "garment": (GARMENT.name, GARMENT.read_bytes())}
        inputs = post(f"{proxy_url}/v1/inputs", files, {"kind": "upper"}, "application/zip")
    except Refused as refused:
        console.print(f"[red]{refused}[/]")
        return False
    out.mkdir(parents=True, exist_ok=True)
    result = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(out / "sample.png"), side_by_side(cv2.imread(str(PERSON)), cv2.imread(str(GARMENT)), result))
    with zipfile.ZipFile(io.BytesIO(inputs.content)) as archive:
        for member, name in MAPS.items():
            (out / name).write_bytes(archive.read(member))
    _tell(answer, seconds, out, console)
    return True


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures in a row, scaled to the last one's height, white between them."""
    height = pictures[-1].shape[0]
    row = []
    for picture in pictures:
        width = round(picture.shape[1] * height / picture.shape[0])
        row += [
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA),
            np.full((height, _GAP, 3), 255, np.uint8),
        ]
    return np.hstack(row[:-1])


def _tell(answer: httpx.Response, seconds: float, out: Path, console: Console) -> None:
    engines = dict(pair.split("=") for pair in answer.headers["x-engine"].split(", "))
    table = Table("step", "engine", Column("ms", justify="right"))
    for name, spent in durations(answer.headers["server-timing"]).items():
        table.add_row(name, engines.get({"garment": "masking"}.get(name, name), ""), f"{1000 * spent:.0f}")
    console.print(f"{PERSON.stem} in {GARMENT.stem}: {seconds:.2f} s", table, sep="\n", highlight=False)
    console.print("Steps overlap; `work` is the time in which any model or geometry was at work.", soft_wrap=True)
    maps = ", ".join(str(out / name) for name in MAPS.values())
    console.print(f"{out / 'sample.png'} (person, garment, result); maps: {maps}", highlight=False, soft_wrap=True)
