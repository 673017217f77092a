"""Two and three processes compute what one does with the same batches."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.cluster import run_workers
from tests.support.distributed_cases import EMPTY, LOPSIDED, UNEVEN, assert_same_report, found_alone
from tfmtl.data import PreparedData
from tfmtl.models import load
from tfmtl.training import evaluate, predict

SCRIPT = Path(__file__).with_name("one_of_several.py")
SECONDS = 600.0  # a hang fails; it takes a tenth of that on a quiet machine
BALANCED = ("weighted losses: ", "all gradients: ", "representation: ")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two workers wrote, who did everything."""
    folder = tmp_path_factory.mktemp("two_workers")
    run_workers(2, SCRIPT, tiny_data.directory, folder, "everything", seconds=SECONDS)
    return folder


@pytest.fixture(scope="module")
def three(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three workers wrote, who did what depends on the division of rows."""
    folder = tmp_path_factory.mktemp("three_workers")
    run_workers(3, SCRIPT, tiny_data.directory, folder, "rows", seconds=SECONDS)
    return folder


@pytest.fixture(scope="module")
def alone(tiny_data: PreparedData) -> dict[str, np.ndarray]:
    return found_alone(tiny_data, tf.distribute.get_strategy(), everything=True)


def compare(folder: Path, workers: int, alone: dict[str, np.ndarray], case: str) -> list[str]:
    """Checks that every worker found what one finds alone; returns what was compared."""
    names = [name for name in alone if name.startswith(f"{case}/")]
    for number in range(workers):
        found = np.load(folder / f"worker_{number}.npz")
        assert [name for name in found if name.startswith(f"{case}/")] == names
        for name in names:
            if case == EMPTY and name.endswith("auc"):
                continue  # its few rows all have one score up to rounding, so that the order is chance
            # Sums in another order. A score that a rounding carries over the edge of a bin changes an area by a pair.
            tolerance = 1e-3 if name.endswith("auc") else 2e-5
            np.testing.assert_allclose(
                found[name], alone[name], atol=tolerance, rtol=tolerance, err_msg=f"{name} of worker {number}"
            )
    return names


@pytest.mark.parametrize("case", [UNEVEN, EMPTY, LOPSIDED, *(f"{kind}{UNEVEN}" for kind in BALANCED)])
def test_two_workers_train_as_one(two: Path, alone: dict[str, np.ndarray], case: str) -> None:
    names = compare(two, 2, alone, case)
    assert max(np.max(np.abs(alone[name])) for name in names if "/moved/" in name) > 0.05


@pytest.mark.parametrize("case", [UNEVEN, EMPTY])
def test_three_workers_train_as_one(three: Path, alone: dict[str, np.ndarray], case: str) -> None:
    names = compare(three, 3, alone, case)
    assert max(np.max(np.abs(alone[name])) for name in names if "/moved/" in name) > 0.05


@pytest.mark.parametrize("case", ["default/fit", "predict", "on a batch"])
def test_two_workers_fit_by_default_and_predict_from_arrays_as_one(
    two: Path, alone: dict[str, np.ndarray], case: str
) -> None:
    assert compare(two, 2, alone, case)


def test_a_whole_run_is_written_by_the_chief(two: Path, tiny_data: PreparedData) -> None:
    files = sorted(path.name for path in (two / "run").iterdir())
    assert files == ["history.csv", "model.keras", "run.json", "tensorboard"]
    assert len(list((two / "run" / "tensorboard").glob("*/events.out.tfevents.*"))) == 2  # training, validation
    saved = load(two / "run" / "model.keras")
    alone = predict(saved, tiny_data, "test")["predictions"]
    report = evaluate(saved, tiny_data)
    for number in range(2):
        found = np.load(two / f"worker_{number}.npz")
        for task, values in alone.items():
            np.testing.assert_allclose(found[f"run/{task}"], values, rtol=1e-5, atol=1e-6)
        own = json.loads((two / f"worker_{number}.json").read_text())["report"]
        assert_same_report(own, report)


def test_a_fault_in_the_rows_of_one_worker_stops_both(two: Path) -> None:
    for number in range(2):
        error = json.loads((two / f"worker_{number}.json").read_text())["error"]
        assert "['watch']" in error and "step 1 of epoch 1" in error
