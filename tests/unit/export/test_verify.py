"""`verify` passes what export wrote and nothing that was tampered with."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiny_problem import tiny_model
from tfmtl.data import PreparedData
from tfmtl.export import Verification, VerificationError, export, verify
from tfmtl.export.replay import replay

pytestmark = pytest.mark.process

GOLDEN = Path("assets.extra") / "golden.jsonl"


def test_an_export_passes(version: Path, golden: list) -> None:
    result = verify(version)
    assert result.requests == len(golden)
    tasks = {name for name in result.differences if name.startswith(("classify_", "regress_"))}
    assert set(result.differences) - tasks == {"serving_default", "serve_examples", "rank"}
    assert {name.partition("_")[2] for name in tasks} == set(golden[0]["response"])
    assert result.largest <= 1e-5
    assert replay(version).differences == pytest.approx(result.differences, abs=1e-6)


def test_other_weights_fail(copy: Path, tiny_data: PreparedData, tmp_path: Path) -> None:
    other = export(tiny_model(tiny_data.inputs, "mmoe"), tiny_data, tmp_path / "other")
    shutil.rmtree(copy / "variables")
    shutil.copytree(other / "variables", copy / "variables")
    with pytest.raises(VerificationError) as caught:
        verify(copy)
    assert str(caught.value).startswith(
        f"verify: '{copy}' must answer as the training graph did, within 1e-05. Received: differences={{"
    )
    assert "\n" not in str(caught.value)


def test_damaged_weights_fail(copy: Path) -> None:
    path = copy / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VerificationError) as caught:
        verify(copy)
    assert str(caught.value).startswith(f"verify: '{copy}' could not be replayed: ")
    assert "\n" not in str(caught.value)


def test_tolerance(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def process_saying(code: int, differences: dict[str, float]) -> None:
        said = json.dumps({"requests": 3, "differences": differences})
        result = subprocess.CompletedProcess([], code, stdout=f"a note\n{said}\n", stderr="")
        monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: result)

    process_saying(0, {"serving_default": 0.0, "serve_examples": 0.5})
    assert verify(version, tolerance=0.5).largest == 0.5
    with pytest.raises(VerificationError, match=r"within 0\.4\."):
        verify(version, tolerance=0.4)
    process_saying(0, {"serving_default": float("nan"), "serve_examples": 0.5})
    with pytest.raises(VerificationError, match="'serving_default': nan"):
        verify(version, tolerance=float("inf"))
    process_saying(-9, {})
    with pytest.raises(VerificationError, match="could not be replayed: no message"):
        verify(version)


# The rest in this process: `verify` adds nothing to it but the two lines tested above.


def test_another_vocabulary_shows(copy: Path) -> None:
    path = copy / "assets" / "item.txt"
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    differences = replay(copy).differences
    assert min(differences.values()) > 1e-3


@pytest.mark.parametrize("task", ["click", "watch"])
def test_another_answer_shows(copy: Path, golden: list, task: str) -> None:
    changed = json.loads(json.dumps(golden))
    changed[-1]["response"][task] *= 1.001
    (copy / GOLDEN).write_text("".join(json.dumps(item) + "\n" for item in changed))
    expected = 1e-3 * min(1.0, abs(golden[-1]["response"][task]))  # relative above 1
    differences = replay(copy).differences
    method = {"click": "classify_click", "watch": "regress_watch"}[task]
    shows = {name: differences.pop(name) for name in ("serving_default", "serve_examples", method)}
    assert shows == pytest.approx(dict.fromkeys(shows, expected), rel=0.05)
    assert max(differences.values()) < 1e-5


def test_another_ranking_shows(copy: Path) -> None:
    path = copy / "assets.extra" / "golden_rank.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["response"]["buy"][5] += 1e-2
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    differences = replay(copy).differences
    assert differences["rank"] == pytest.approx(1e-2, rel=0.05)
    assert max(differences["serving_default"], differences["serve_examples"]) < 1e-5


def test_another_request_shows(copy: Path, golden: list) -> None:
    changed = json.loads(json.dumps(golden))
    first = golden[0]["response"]["click"]
    changed[0]["features"] = max(golden, key=lambda each: abs(each["response"]["click"] - first))["features"]
    (copy / GOLDEN).write_text("".join(json.dumps(item) + "\n" for item in changed))
    differences = replay(copy).differences
    assert min(differences["serving_default"], differences["serve_examples"]) > 1e-3


def test_nothing_to_replay_is_an_error(copy: Path) -> None:
    (copy / GOLDEN).write_text("")
    with pytest.raises(ValueError, match=r"golden.jsonl' holds no request"):
        replay(copy)


@pytest.mark.parametrize("missing", ["everything", "saved_model.pb", "assets.extra/golden.jsonl"])
def test_what_is_no_export_is_refused(copy: Path, missing: str) -> None:
    if missing == "everything":
        shutil.rmtree(copy)
        copy.mkdir()
    else:
        (copy / missing).unlink()
    with pytest.raises(VerificationError) as caught:
        verify(copy)
    name = "saved_model.pb" if missing == "everything" else missing
    assert str(caught.value) == (
        f"verify: `version` must be a directory that export() wrote. Received: version='{copy}', "
        f"which has no {name}. Give <directory>/<version>."
    )
    shutil.rmtree(copy)
    with pytest.raises(VerificationError, match="must be a directory that export"):
        verify(str(copy))


def test_what_replays_loads_no_model_code() -> None:
    """Else a layer that is missing from the export could be found all the same."""
    loaded = "sorted(name for name in sys.modules if name.startswith(('tfmtl.models', 'tfmtl.layers')))"
    command = [sys.executable, "-c", f"import sys, tfmtl.export.replay; print({loaded}, file=sys.stderr)"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert result.stderr.splitlines()[-1] == "[]"


def test_nan_is_the_largest_difference() -> None:
    assert Verification(1, {"one": 0.5, "other": 0.25}).largest == 0.5
    largest = Verification(1, {"one": 0.5, "other": float("nan")}).largest
    assert largest != largest
