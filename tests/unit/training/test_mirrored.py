"""Two replicas compute what one device does with the same batches."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.distributed_cases import CASES, EMPTY, assert_same_report
from tests.support.fresh_process import run_fresh
from tfmtl.data import PreparedData
from tfmtl.export import verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def output(tiny_data: PreparedData, small_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirrored")
    script = Path(__file__).with_name("two_replicas.py")
    run_fresh(script, tiny_data.directory, small_data.directory, folder)
    return folder


@pytest.mark.parametrize("case", [f"{preset}{case}" for preset in ("", "dephn: ", "aitm: ") for case in CASES])
def test_two_replicas_equal_one_device(output: Path, case: str) -> None:
    one, two = np.load(output / "one_device.npz"), np.load(output / "mirrored.npz")
    names = [name for name in one if name.startswith(f"{case}/")]
    assert [name for name in two if name.startswith(f"{case}/")] == names
    for name in names:
        if case.endswith(EMPTY) and name.endswith("auc"):
            continue  # its few rows all have one score up to rounding, so that the order is chance
        # Sums in another order. A score that a rounding carries over the edge of a bin changes an area by a pair.
        tolerance = 1e-3 if name.endswith("auc") else 2e-5
        np.testing.assert_allclose(two[name], one[name], atol=tolerance, rtol=tolerance, err_msg=name)
    moved = [name for name in names if "/moved/" in name]
    assert max(np.max(np.abs(one[name])) for name in moved) > 0.05
    assert sum(bool(np.any(one[name])) for name in moved) == len(moved)


def test_what_a_layer_adds_to_the_loss_counts_on_every_replica(output: Path) -> None:
    one, two = np.load(output / "one_device.npz"), np.load(output / "mirrored.npz")
    names = [name for name in one if name.startswith("added/")]
    for name in names:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=2e-6, err_msg=name)
    assert max(np.max(np.abs(one[name])) for name in names) > 0.05


@pytest.mark.parametrize("decomposed", [False, True])
def test_weights_are_moved_by_the_gradient_of_the_whole_batch(output: Path, decomposed: bool) -> None:
    one, two = np.load(output / "one_device.npz"), np.load(output / "mirrored.npz")
    names = [name for name in one if name.startswith(f"flat {decomposed}/")]
    for name in names:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=2e-6, err_msg=name)
    assert max(np.max(np.abs(one[name])) for name in names) > 0.05


def test_a_whole_run_on_two_replicas(output: Path) -> None:
    report = json.loads((output / "run.json").read_text())
    assert report["devices"] == 2
    assert [set(record["cosines"]) for record in report["conflicts"]] == [
        {"click, buy", "click, watch", "buy, watch"}
    ] * 2
    first, second = report["dropped"]
    assert first != second, "replicas drop different ids of the same rows"
    assert 1 in first and 1 in second
    assert_same_report(report["trained"], report["saved"])
    assert verify(report["version"]).largest <= 1e-5
