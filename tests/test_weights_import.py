from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from typer.testing import CliRunner

from infra.weights import MissingWeights, WeightsFolder, catalogue, cli, folder, importing, tensor_file
from infra.weights.catalogue import CHECKPOINTS, build_network, entry_of
from infra.weights.entry import Checkpoint, Digest, NameMap
from infra.weights.importing import ModelsMissing, RefusedCheckpoint, hashes_of, import_checkpoint
from infra.weights.readers import UnreadableCheckpoint
from infra.weights.tensor_file import metadata_of
from tests import golden_recipe
from tests.weights_checkpoints import GOLDEN, build_plain, checkpoint, tensors, write

ROOT = Path(__file__).parent.parent


@pytest.fixture
def weights(tmp_path: Path) -> WeightsFolder:
    (tmp_path / "weights").mkdir()
    return WeightsFolder(tmp_path / "weights")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checkpoint]:
    """Makes a checkpoint of a small network and puts it into the catalogue."""

    def known(builder: str = "build_tiny", **changes: object) -> Checkpoint:
        made = checkpoint(builder, **changes)
        monkeypatch.setitem(catalogue._BY_ID, made.id, made)
        return made

    return known


def files_in(weights: WeightsFolder) -> set[str]:
    return {path.name for path in weights.folder.iterdir()}


def faults(made: Checkpoint, file: Path, weights: WeightsFolder) -> str:
    """What import says against the file; and it leaves nothing."""
    before = files_in(weights)
    with pytest.raises(RefusedCheckpoint) as caught:
        import_checkpoint(made, file, weights)
    assert files_in(weights) == before
    return "\n".join(caught.value.faults)


@pytest.mark.parametrize("form", ["zip", "old", "pickle2", "pickle5", "safetensors"])
def test_an_import_holds_the_published_values_under_the_networks_names(known, weights, tmp_path, form) -> None:
    made, state = known(), tensors()
    imported = import_checkpoint(made, write(tmp_path / "published", form, state), weights)
    assert imported.path == weights.path("tiny") and files_in(weights) == {"tiny.safetensors"}
    found = load_file(imported.path)
    assert set(found) == set(state) and all(torch.equal(found[name], value) for name, value in state.items())
    build_network("tiny").load_state_dict(found, strict=True)


@pytest.mark.parametrize("form", ["new", "legacy", "v1", "unpacked", "double"])
def test_a_caffe_model_gets_the_networks_shapes(known, weights, tmp_path, form) -> None:
    made, state = known("build_plain", format="caffe"), tensors(build_plain)
    found = load_file(import_checkpoint(made, write(tmp_path / "published", form, state), weights).path)
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_the_file_tells_where_it_came_from_and_is_always_the_same(known, weights, tmp_path) -> None:
    made = known()
    file = write(tmp_path / "published.pth", "zip", tensors())
    path = import_checkpoint(made, file, weights).path
    content, said = path.read_bytes(), metadata_of(path)
    with safe_open(path, framework="np") as opened:
        assert opened.metadata() == said
    assert said["network"] == "tiny" and said["source"] == "published.pth" and said["licence"] == "MIT"
    assert [said["source_sha256"]] == weights.sha256("tiny") == [hashes_of(file, {"sha256"})["sha256"]]
    time.sleep(0.01)
    import_checkpoint(made, file, weights)
    assert path.read_bytes() == content


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_the_networks(known, weights, tmp_path, dtype) -> None:
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors().items()}
    imported = import_checkpoint(known(), write(tmp_path / "published", "zip", state), weights)
    found = load_file(imported.path)
    assert all(torch.equal(found[name], value.to(found[name].dtype)) for name, value in state.items())
    assert found["conv.weight"].dtype == torch.float32
    assert bool(imported.rounded) == (dtype == torch.float64)


def test_counters_stay_integers(known, weights, tmp_path) -> None:
    state = {**tensors(), "norm.num_batches_tracked": torch.tensor(12, dtype=torch.int32)}
    found = load_file(import_checkpoint(known(), write(tmp_path / "published", "zip", state), weights).path)
    assert found["norm.num_batches_tracked"].dtype == torch.int64 and found["norm.num_batches_tracked"] == 12


def test_every_fault_of_names_shapes_and_types_is_listed_at_once(known, weights, tmp_path) -> None:
    state = tensors()
    del state["conv.bias"], state["norm.weight"]
    state.update({"head.weight": torch.zeros(2), "module.slope.weight": torch.zeros(4)})
    state["conv.weight"] = torch.zeros(4, 3, 5, 3)
    state["norm.running_var"] = torch.zeros(4, dtype=torch.int64)
    said = faults(known(), write(tmp_path / "published", "zip", state), weights)
    assert "2 missing: conv.bias, norm.weight" in said
    assert "1 unknown to the network: head.weight" in said
    assert "1 of another shape: conv.weight [4, 3, 5, 3], not [4, 3, 3, 3]" in said
    assert "1 of another type: norm.running_var int64, not float32" in said
    assert "1 there twice: slope.weight (module.slope.weight)" in said


def test_the_values_of_one_shape_are_not_taken_for_another(known, weights, tmp_path) -> None:
    state = tensors(build_plain)
    state["conv.weight"] = state["conv.weight"].reshape(3, 4, 3, 3)
    made = known("build_plain", format="caffe")
    for form in ("zip", "new", "legacy"):
        assert "another shape: conv.weight" in faults(made, write(tmp_path / form, form, state), weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_refused(known, weights, tmp_path, value) -> None:
    state = tensors()
    state["norm.bias"][2] = value
    said = faults(known(), write(tmp_path / "published", "zip", state), weights)
    assert "1 with values that are no finite numbers: norm.bias" in said


def test_a_value_too_large_for_the_network_is_refused(known, weights, tmp_path) -> None:
    state = {**tensors(), "norm.bias": torch.full((4,), 1e300, dtype=torch.float64)}
    assert "no finite numbers: norm.bias" in faults(known(), write(tmp_path / "published", "zip", state), weights)


def test_a_refused_file_leaves_the_one_that_is_there(known, weights, tmp_path) -> None:
    made = known()
    path = import_checkpoint(made, write(tmp_path / "good", "zip", tensors()), weights).path
    before = path.read_bytes()
    faults(made, write(tmp_path / "other", "zip", tensors(build_plain)), weights)
    with pytest.raises(UnreadableCheckpoint):
        import_checkpoint(made, tmp_path / "absent", weights)
    assert path.read_bytes() == before and weights.fault(made) is None


def test_a_disk_that_fails_leaves_the_one_that_is_there(known, weights, tmp_path, monkeypatch) -> None:
    made = known()
    file = write(tmp_path / "good", "zip", tensors())
    before = import_checkpoint(made, file, weights).path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        import_checkpoint(made, file, weights)
    assert files_in(weights) == {"tiny.safetensors"} and weights.place(made).read_bytes() == before


IMPORTING = """
import sys, time
from pathlib import Path
from infra.weights import WeightsFolder, catalogue, importing
from tests.weights_checkpoints import checkpoint

made = catalogue._BY_ID["tiny"] = checkpoint()
chunks = importing._chunks

def stop(*arguments):
    print("here", flush=True)
    time.sleep(60)

def stopping_chunks(tensor, dtype):
    yield from chunks(tensor, dtype)
    if tensor.shape == (4, 3, 3, 3):
        stop()

file, folder, where = sys.argv[1:]
if where == "in the middle":
    importing._chunks = stopping_chunks
else:
    importing.os.fsync = stop
importing.import_checkpoint(made, Path(file), WeightsFolder(Path(folder)))
"""


@pytest.mark.parametrize("where", ["in the middle", "before the end"])
@pytest.mark.parametrize("there", [False, True])
def test_a_killed_import_leaves_nothing_half_written(known, weights, tmp_path, where, there) -> None:
    made = known()
    if there:
        import_checkpoint(made, write(tmp_path / "before", "zip", tensors(seed=1)), weights)
    before = weights.place(made).read_bytes() if there else None
    file = write(tmp_path / "published", "zip", tensors())
    arguments = [sys.executable, "-c", IMPORTING, str(file), str(weights.folder), where]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    assert "tiny.safetensors.part" in files_in(weights)
    if there:
        assert weights.place(made).read_bytes() == before and weights.fault(made) is None
    else:
        with pytest.raises(MissingWeights, match="is not there"):
            weights.path("tiny")
    import_checkpoint(made, file, weights)
    assert files_in(weights) == {"tiny.safetensors"} and weights.fault(made) is None


@pytest.mark.parametrize("where", [20, 300, -1], ids=["in the header", "in the metadata", "in the tensors"])
def test_a_changed_file_is_never_opened(known, weights, tmp_path, where) -> None:
    made = known()
    path = import_checkpoint(made, write(tmp_path / "published", "zip", tensors()), weights).path
    weights.path("tiny")
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(MissingWeights):
        weights.path("tiny")


def test_a_file_that_import_did_not_write_is_never_opened(known, weights, tmp_path) -> None:
    made = known()
    write(weights.place(made), "safetensors", tensors())
    assert "no metadata that tell its SHA-256" in weights.fault(made)
    other = known(id="other")
    import_checkpoint(other, write(tmp_path / "published", "zip", tensors()), weights)
    weights.place(other).replace(weights.place(made))
    assert "was not imported as tiny" in weights.fault(made)
    header = json.dumps({"__metadata__": {"network": "tiny", "everywear": "1", "sha256": "\ud800" * 64}}).encode()
    weights.place(made).write_bytes(len(header).to_bytes(8, "little") + header)
    assert "no metadata that tell its SHA-256" in weights.fault(made)
    for content in (b"", b"\x08", b"\xff" * 40, (2**40).to_bytes(8, "little") + b"{}"):
        weights.place(made).write_bytes(content)
        assert "no safetensors file" in weights.fault(made)


def test_a_file_of_another_version_is_imported_anew(known, weights, tmp_path, monkeypatch) -> None:
    made = known()
    import_checkpoint(made, write(tmp_path / "published", "zip", tensors()), weights)
    monkeypatch.setattr(folder, "VERSION", "2")
    assert "was imported by another version of Everywear" in weights.fault(made)


def test_an_import_is_hashed_once_while_it_stays_the_same(known, weights, tmp_path, monkeypatch) -> None:
    import_checkpoint(known(), write(tmp_path / "published", "zip", tensors()), weights)
    hashed = []
    monkeypatch.setattr(folder, "digest_of", lambda path: hashed.append(path) or tensor_file.digest_of(path))
    weights.path("tiny")
    weights.path("tiny")
    assert len(hashed) == 1


@pytest.mark.parametrize(("digest", "known_to_be"), [("right", True), ("wrong", False), (None, None)])
def test_an_import_tells_whether_the_file_is_the_published_one(known, weights, tmp_path, digest, known_to_be) -> None:
    file = write(tmp_path / "published", "zip", tensors())
    value = hashes_of(file, {"sha512"})["sha512"] if digest == "right" else "0" * 128
    made = known(digest=digest and Digest("sha512", value))
    assert import_checkpoint(made, file, weights).known is known_to_be


def test_without_torch_it_says_what_to_install(known, weights, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importing, "LIBRARIES", ("torch", "no_such_library"))
    with pytest.raises(ModelsMissing, match=r"`make models`, or `pip install .*everywear\[models\]"):
        import_checkpoint(known(), tmp_path / "published", weights)


def test_filled_values_are_written(known, weights, tmp_path) -> None:
    made = known(names=NameMap(filled=((r"norm\.running_var$", 1.0),)))
    state = tensors()
    del state["norm.running_var"]
    imported = import_checkpoint(made, write(tmp_path / "published", "zip", state), weights)
    assert imported.filled == ("norm.running_var",)
    assert load_file(imported.path)["norm.running_var"].tolist() == [1.0] * 4


def test_a_file_by_the_name_of_another_checkpoint_is_refused(weights, tmp_path) -> None:
    """LIP and CIHP have the same shapes."""
    file = write(tmp_path / "exp-schp-201908261155-lip.pth", "zip", tensors())
    with pytest.raises(UnreadableCheckpoint, match="is schp_lip by its name"):
        import_checkpoint(entry_of("schp_cihp"), file, weights)


REAL = [
    ("tracer_b7", "zip"),
    ("schp_cihp", "old"),
    ("densepose_rcnn_r50_fpn_s1x", "pickle4"),
    ("openpose_body_25", "new"),
]

MEASURED = """
import json, sys
from pathlib import Path
import torch, safetensors
from infra.weights import WeightsFolder
from infra.weights.catalogue import entry_of
from infra.weights.importing import import_checkpoint, wanted_by

def kilobytes(what):
    return int(next(line for line in open("/proc/self/status") if line.startswith(what)).split()[1])

id, file, folder = sys.argv[1:]
wanted_by(entry_of(id))
before = kilobytes("VmRSS")
import_checkpoint(entry_of(id), Path(file), WeightsFolder(Path(folder)))
print(json.dumps({"bytes": (kilobytes("VmHWM") - before) * 1024}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("id", "form"), REAL)
def test_a_real_size_file_takes_no_more_than_twice_its_memory(weights, tmp_path, id: str, form: str) -> None:
    golden = golden_recipe.load(GOLDEN[id])
    file = write(tmp_path / "published", form, golden_recipe.state_dict(golden))
    size = file.stat().st_size
    arguments = [sys.executable, "-c", MEASURED, id, str(file), str(weights.folder)]
    measured = json.loads(subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    file.unlink()
    assert measured["bytes"] <= 2 * size
    with safe_open(weights.path(id), framework="np") as opened:
        for name in list(golden["state_dict"])[::100]:
            shape = tuple(golden["state_dict"][name])
            expected = golden_recipe.parameter(name, shape, golden["seed"], golden["gain"])
            np.testing.assert_array_equal(opened.get_tensor(name), expected)


@pytest.fixture
def command(known, weights, monkeypatch: pytest.MonkeyPatch):
    """`everywear weights ...` with one checkpoint in the catalogue."""
    made = known()
    monkeypatch.setattr(cli, "CHECKPOINTS", (made,))
    monkeypatch.setattr(cli, "EMBEDDED_DEFAULT", ())
    return lambda *words: CliRunner().invoke(cli.app, [*words, "--folder", str(weights.folder)])


def test_the_command_imports_and_tells(command, weights, tmp_path) -> None:
    file = write(tmp_path / "published.pth", "zip", {**tensors(), "norm.bias": torch.zeros(4, dtype=torch.float64)})
    assert "not imported" in command("list").output
    result = command("import", "tiny", str(file))
    assert result.exit_code == 0 and "8 tensors" in result.output and "No hash is published" in result.output
    assert "1 rounded from float64 to float32: norm.bias" in result.output
    assert "imported" in command("list").output and "not imported" not in command("list").output
    assert "tiny: good" in command("verify").output


def test_the_command_finds_an_import_that_was_spoilt(command, weights, tmp_path) -> None:
    command("import", "tiny", str(write(tmp_path / "published.pth", "zip", tensors())))
    path = weights.folder / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    result = command("verify")
    assert result.exit_code == 1 and "everywear weights import tiny FILE" in result.output
    assert "wrong file" in command("list").output


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"cos\nsystem\n(S'true'\ntR.", "it may be hostile"), (b"}.", "is not tiny")],
)
def test_the_command_fails_with_the_reason_and_no_traceback(command, tmp_path, content, said) -> None:
    (tmp_path / "published").write_bytes(content)
    result = command("import", "tiny", str(tmp_path / "published"))
    assert result.exit_code == 1 and said in result.output and "Traceback" not in result.output


def test_what_a_file_says_does_not_reach_the_terminal_as_it_is(command, tmp_path) -> None:
    state = {**tensors(), "\x1b]0;a title\x07": torch.zeros(1), "n" * 5000: torch.zeros(1)}
    output = command("import", "tiny", str(write(tmp_path / "published", "zip", state))).output
    assert "2 unknown to the network: ?]0;a title?" in output
    assert "\x1b" not in output and "\x07" not in output and len(output) < 1000


def test_a_file_that_cannot_be_read_is_told_and_no_other_folder_proposed(command, tmp_path, monkeypatch) -> None:
    def failing(file: Path, algorithms: set[str]) -> dict[str, str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(importing, "hashes_of", failing)
    result = command("import", "tiny", str(write(tmp_path / "published", "zip", tensors())))
    assert result.exit_code == 1 and "published cannot be read (Input/output error)" in result.output
    assert folder.FOLDER_VARIABLE not in result.output


def test_a_file_of_an_absurd_size_is_not_even_read(known, weights, tmp_path) -> None:
    with (tmp_path / "published").open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(1 << 40)
    with pytest.raises(UnreadableCheckpoint, match="has 1099512 MB, and tiny about 0; it was not read"):
        import_checkpoint(known(), tmp_path / "published", weights)


def test_only_checkpoints_are_imported(command, tmp_path) -> None:
    result = command("import", "modnet", str(tmp_path / "modnet.onnx"))
    assert result.exit_code == 2 and "everywear weights fetch modnet" in " ".join(result.output.split())
    assert command("import", "no_such_network", str(tmp_path)).exit_code == 2


def test_the_list_fits_100_columns() -> None:
    lines = CliRunner().invoke(cli.app, ["list"]).output.splitlines()
    assert max(len(line.rstrip()) for line in lines if not line.startswith("Folder")) <= 100
    for made in CHECKPOINTS:
        (line,) = [line for line in lines if line.startswith(f"{made.id} ")]
        assert made.licence.name in line and made.service in line and made.engine in line


@pytest.mark.parametrize("words", [["list"], ["verify"], ["fetch", "--help"], ["import", "--help"]], ids=" ".join)
def test_torch_is_not_imported_before_it_is_needed(tmp_path, words) -> None:
    log = tmp_path / "guard.log"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests' / 'guard'}:{ROOT}", "EVERYWEAR_GUARD_LOG": str(log)}
    command = [sys.executable, "-m", "everywear", "weights", *words]
    subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert "guarded" in log.read_text() and "import" not in log.read_text()
