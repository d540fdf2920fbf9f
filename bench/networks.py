"""How fast the published networks run on the device that is there, each at its published input size.

    python bench/networks.py [schp_cihp tracer_b7 ...] [--device auto] [--threads 1] [--seconds 6] [--skip compiled]

Each network gets a process of its own, and made-up weights: values change no time. Prints, against a baseline measured
in turns with it:
- `folded` in float32, the network as its engine runs it, against the network as published, run plainly;
- a half precision against float32, and compiled against eager, both through the engine;
- images per second at batch 1 and at the best batch, each with its peak memory (on a CPU the process's own growth);
- what comes before and after the network, as a share of the whole.
A difference is the largest one over the output's largest value; made-up networks make more of rounding than trained
ones. OpenPose's people are measured by bench/grouping.py: made-up maps hold none.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, Python looks in this folder only

from infra import engines
from infra.preprocess.densepose.densepose import DensePoseInput
from infra.preprocess.densepose.rcnn import folding as densepose
from infra.preprocess.human_parser.parse import ParseInput
from infra.preprocess.human_parser.schp import folding as schp
from infra.preprocess.masking.fba import folding as fba
from infra.preprocess.masking.mask import MaskInput
from infra.preprocess.masking.tracer_b7 import folding as tracer
from infra.preprocess.pose_estimation.openpose import folding as openpose
from infra.preprocess.pose_estimation.openpose.hands import HandInput
from infra.serving.settings import Settings
from infra.serving.torch_runtime import TorchRuntime, is_out_of_memory
from infra.weights import WeightsFolder
from tests.checkpoints import made_up

ROOT = Path(__file__).resolve().parents[1]
BATCHES = (1, 2, 4, 8, 16, 32)
WORTH_IT = 1.03  # a larger batch that gains less is not better
PERSON = cv2.imread(str(ROOT / "samples/person/man_stripes_chinos.jpg"))[..., ::-1].copy()  # 768x1024, RGB
Call = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """`part` is the engine's attribute with `pre`, `infer`, `post`, for a batch of `item`s. `shapes` are of the plain
    network's inputs; `plain` makes a loaded network callable with them, and so does `folded`, as the engine runs it."""

    service: str
    engine: str
    part: str
    item: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    folded: Callable[[nn.Module, TorchRuntime], Callable[..., Any]]
    plain: Callable[[nn.Module], Callable[..., Any]] = lambda network: network
    settings: dict[str, str] = field(default_factory=dict)


def _whole(fold: Callable[[nn.Module], nn.Module]) -> Callable[[nn.Module, TorchRuntime], nn.Module]:
    return lambda network, runtime: runtime.prepare(fold(network))


def _schp(scheme: str, size: int) -> Case:
    return Case(
        "human_parser", "schp", "parser", lambda: ParseInput(PERSON), ((3, size, size),), _whole(schp.fold),
        plain=lambda network: lambda x: network(x)[1],
        settings={"schp_weights": scheme},
    )  # fmt: skip


def _openpose(part: str, item: Callable[[], Any], shape: tuple[int, ...], body: str = "body_25") -> Case:
    def folded(network: nn.Module, runtime: TorchRuntime) -> Callable[..., Any]:
        hidden, last = openpose.split(network)
        hidden, last = runtime.prepare(hidden), last.to(runtime.device)
        return lambda x: last(*hidden(x))

    return Case(
        "pose_estimation", "openpose", part, item, (shape,), folded,
        settings={"openpose_body": body, "openpose_hands": "chosen" if part == "hands" else "nobody"},
    )  # fmt: skip


def _densepose() -> Case:
    """The whole network chooses boxes between its layers, so that the backbone alone is held against the plain one."""

    def plain(network: nn.Module) -> Callable[..., Any]:
        return lambda x: list(network.backbone(x))

    def folded(network: nn.Module, runtime: TorchRuntime) -> Callable[..., Any]:
        backbone = runtime.prepare(densepose.fold(network).trunk.backbone)
        return lambda x: list(backbone(x))

    return Case(
        "densepose", "densepose_rcnn", "inference", lambda: DensePoseInput(PERSON), ((3, 1088, 800),), folded, plain
    )


CASES = {
    "tracer_b7": Case(
        "masking", "tracer_b7", "salience", lambda: MaskInput(PERSON), ((3, 640, 640),), _whole(tracer.fold)
    ),
    "fba": Case(
        "masking", "tracer_b7", "matting", lambda: (PERSON, _soft_mask()),
        ((3, 1024, 768), (2, 1024, 768), (3, 1024, 768), (6, 1024, 768)), _whole(fba.fold),
        settings={"tracer_matting": "fba"},
    ),
    "schp_cihp": _schp("cihp", 473),
    "schp_lip": _schp("lip", 473),
    "schp_atr": _schp("atr", 512),
    "schp_pascal": _schp("pascal", 512),
    "openpose_body_25": _openpose("bodies", lambda: PERSON, (3, 368, 272)),
    "openpose_coco": _openpose("bodies", lambda: PERSON, (3, 368, 272), body="coco"),
    "openpose_hand": _openpose("hands", lambda: HandInput(PERSON, np.array([300.0, 400.0, 160.0]), 0), (3, 368, 368)),
    "densepose_rcnn_r50_fpn_s1x": _densepose(),
}  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("networks", nargs="*", metavar="ID", help=f"of {', '.join(CASES)}; all if none")
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments.add_argument("--seconds", type=float, default=6, help="how long each comparison is timed")
    arguments.add_argument("--skip", action="append", default=[], choices=("plain", "reduced", "compiled", "batches"))
    arguments.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if unknown := set(given.networks) - CASES.keys():
        arguments.error(f"no such network: {', '.join(unknown)}")
    if given.in_this_process:
        measure(given.networks[0], given)
        return
    options = [f"--device={given.device}", f"--threads={given.threads}", f"--seconds={given.seconds}"]
    options += [f"--skip={what}" for what in given.skip]
    for id in given.networks or CASES:
        command = [sys.executable, __file__, id, *options, "--in-this-process"]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"{id} failed")


def measure(id: str, given: argparse.Namespace) -> None:
    case = CASES[id]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(id, case, given, Path(folder))
        bench.whole()
        if "plain" not in given.skip:
            bench.folding()
        if "reduced" not in given.skip:
            bench.reduced()
        if "compiled" not in given.skip:
            bench.compiled()


class Bench:
    def __init__(self, id: str, case: Case, given: argparse.Namespace, folder: Path) -> None:
        self.id, self.case, self.given, self.folder = id, case, given, folder
        torch.set_num_threads(given.threads)
        torch.set_grad_enabled(False)
        cv2.setNumThreads(given.threads)
        self.engine = self.load(dtype="float32")
        self.device = self.engine.runtime.device
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else f"{given.threads} CPU threads"
        shapes = " + ".join("x".join(map(str, shape)) for shape in case.shapes)
        print(f"\n{id}, input {shapes}, {name}, torch {torch.__version__}", flush=True)

    def weights(self, id: str) -> Path:
        if id in CASES:
            path = self.folder / f"{id}.safetensors"
            return path if path.exists() else made_up(id, self.folder)
        return WeightsFolder.default().path(id)

    def load(self, **settings: object) -> Any:
        """The engine, loaded; its warm-up is left to the measuring."""
        made = Settings(_env_file=None, device=self.given.device, **self.case.settings, **settings)
        engine = engines.make(self.case.service, self.case.engine, made)
        engine.load(self.weights, self.given.threads)
        return engine

    def part(self, engine: Any) -> Any:
        return getattr(engine, self.case.part)

    def folding(self) -> None:
        """float32 on the device, without the engine."""
        runtime = self.engine.runtime
        plain = self.case.plain(runtime.open(self.id, self.weights).to(runtime.device))
        folded = self.case.folded(runtime.open(self.id, self.weights), runtime)
        generator = torch.Generator().manual_seed(0)
        inputs = [torch.randn(1, *shape, generator=generator).to(runtime.device) for shape in self.case.shapes]
        if self.id == "fba":
            inputs = [each.sigmoid() for each in inputs]  # pictures and trimaps are shares
        last = [each.contiguous(memory_format=torch.channels_last) for each in inputs]
        off = difference(folded(*last), plain(*inputs))
        slow, fast = self.in_turns(lambda: plain(*inputs), lambda: folded(*last))
        self.say("plain, float32", slow)
        self.say("folded, float32", fast, slow, off)

    def whole(self) -> None:
        part = self.part(self.engine)
        best, rate = 0, 0.0
        memory = PeakMemory(self.device)
        for batch in BATCHES if "batches" not in self.given.skip else BATCHES[:1]:
            items = [self.case.item() for _ in range(batch)]
            try:
                memory.forget()
                seconds = {step: statistics.median(times) for step, times in self.steps(part, items).items()}
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                break
            total = sum(seconds.values())
            around = 1 - seconds["infer"] / total
            peak = memory.bytes() / 2**20
            print(
                f"  batch {batch}: {batch / total:.2f} images/s, peak {peak:.0f} MB, before and after the network "
                f"{1e3 * seconds['pre']:.1f} + {1e3 * seconds['post']:.1f} ms, {around:.1%} of the whole",
                flush=True,
            )
            if batch / total < WORTH_IT * rate:
                break
            best, rate = batch, batch / total
        print(f"  best batch {best}", flush=True)

    def reduced(self) -> None:
        for dtype in ("bfloat16", "float16") if self.device.type == "cuda" else ("bfloat16",):
            self.against(f"{dtype} against float32", self.load(dtype=dtype))

    def compiled(self) -> None:
        try:
            begin = time.perf_counter()
            engine = self.load(dtype="float32", compile=True)
            part = self.part(engine)
            with torch.inference_mode():
                part.infer(part.pre([self.case.item()]))
            print(f"  compiled in {time.perf_counter() - begin:.0f} s", flush=True)
        except Exception as error:  # no compiler, or a network that it cannot take: whatever it says
            print(f"  compiled: not measured ({type(error).__name__}: {str(error).partition(chr(10))[0][:120]})")
            return
        self.against("compiled against eager", engine)

    def against(self, name: str, engine: Any) -> None:
        ours, theirs = self.part(self.engine), self.part(engine)
        items = [self.case.item()]
        with torch.inference_mode():
            eager, other = ours.pre(items), theirs.pre(items)
            off = difference(theirs.infer(other), ours.infer(eager))
            slow, fast = self.in_turns(lambda: ours.infer(eager), lambda: theirs.infer(other))
        self.say(name, fast, slow, off)

    def in_turns(self, *calls: Call) -> list[float]:
        """Median seconds of each, called in turns."""
        times: list[list[float]] = [[] for _ in calls]
        for call in calls:
            call()
        end = time.perf_counter() + self.given.seconds
        while time.perf_counter() < end or len(times[0]) < 3:
            for call, taken in zip(calls, times):
                taken.append(self.timed(call))
        return [statistics.median(taken) for taken in times]

    def steps(self, part: Any, items: list[Any]) -> dict[str, list[float]]:
        times: dict[str, list[float]] = {"pre": [], "infer": [], "post": []}
        kept: dict[str, Any] = {}
        calls: dict[str, Call] = {
            "pre": lambda: kept.update(pre=part.pre(items)),
            "infer": lambda: kept.update(infer=part.infer(kept["pre"])),
            # Matting's last step reads its first one's trimaps
            "post": lambda: part.post(kept["infer"], kept["pre"] if self.id == "fba" else items),
        }
        end = time.perf_counter() + self.given.seconds
        with torch.inference_mode():
            for call in calls.values():
                call()
            while time.perf_counter() < end or len(times["pre"]) < 2:
                for step, call in calls.items():
                    times[step].append(self.timed(call))
        return times

    def timed(self, call: Call) -> float:
        self.wait()
        begin = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - begin

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def say(self, name: str, seconds: float, baseline: float | None = None, off: float | None = None) -> None:
        ratio = "" if baseline is None else f", {baseline / seconds:.2f} times as fast"
        differs = "" if off is None else f", difference {off:.1g}"
        print(f"  {name}: {1e3 * seconds:.1f} ms{ratio}{differs}", flush=True)


class PeakMemory:
    """Most bytes in use at once, beyond those in use when this was made: on CUDA tensors', else the process's."""

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        gc.collect()
        self._before = torch.cuda.memory_allocated(device) if self._device else _status("VmRSS")

    def forget(self) -> None:
        if self._device:
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak, VmHWM

    def bytes(self) -> int:
        peak = torch.cuda.max_memory_allocated(self._device) if self._device else _status("VmHWM")
        return max(0, peak - self._before)


def _status(what: str) -> int:
    (kilobytes,) = re.findall(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(kilobytes)


def difference(ours: Any, reference: Any) -> float:
    """Largest difference of any two tensors over the largest value of the reference's; not a number where precision
    changed what there is to compare."""
    pairs = list(zip(_tensors(ours), _tensors(reference)))
    if not pairs or any(a.shape != b.shape for a, b in pairs):
        return float("nan")
    return max(float((a.float() - b.float()).abs().max() / b.float().abs().max()) for a, b in pairs)


def _tensors(found: Any) -> list[torch.Tensor]:
    """Every tensor of an answer, in order."""
    if isinstance(found, torch.Tensor):
        return [found] if found.numel() else []
    if isinstance(found, np.ndarray):
        return [torch.from_numpy(found)]
    if isinstance(found, list | tuple):
        return [tensor for each in found for tensor in _tensors(each)]
    if hasattr(found, "charts"):  # of DensePose: where precision changes who is seen, charts cannot be compared
        return _tensors(found.charts)
    return _tensors(found.values) if hasattr(found, "values") else []


def _soft_mask() -> np.ndarray:
    """uint8 1024x768: the sample person's alpha, its rim made soft, for trimaps of the usual extent."""
    alpha = cv2.imread(str(ROOT / "samples/truth/man_stripes_chinos_alpha.png"), cv2.IMREAD_GRAYSCALE)
    return cv2.GaussianBlur(alpha, (0, 0), 4)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
