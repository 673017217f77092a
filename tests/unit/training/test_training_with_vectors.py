"""Vectors on two replicas, and in a run that starts from another one's weights."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.distributed_cases import UNEVEN
from tests.support.fresh_process import run_fresh
from tests.support.tiny_problem import next_day, prepare, tiny_model, whole_split
from tests.support.vector_problem import log_of_vectors, problem_of_vectors
from tfmtl.data import PreparedData
from tfmtl.models import load
from tfmtl.training import TrainOptions, fit


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(tmp_path_factory.mktemp("vectors"), problem_of_vectors(), log=log_of_vectors(has_bad=False))


@pytest.mark.slow
def test_two_replicas_equal_one_device(data: PreparedData, tmp_path: Path) -> None:
    run_fresh(Path(__file__).with_name("vector_replicas.py"), data.directory, tmp_path)
    one, two = np.load(tmp_path / "one_device.npz"), np.load(tmp_path / "mirrored.npz")
    assert set(one) == set(two)
    for name in one:
        # Sums in another order. A score that a rounding carries over the edge of a bin changes an area by a pair.
        tolerance = 1e-3 if name.endswith("auc") else 2e-5
        np.testing.assert_allclose(two[name], one[name], atol=tolerance, rtol=tolerance, err_msg=name)
    paths = [weight.path for weight in tiny_model(data.inputs, "shared_bottom").weights]
    of_vectors = [n for n, path in enumerate(paths) if "vectors" in path]
    assert len(of_vectors) == 6, "a kernel and a bias for each vector"
    for number in of_vectors:
        assert np.max(np.abs(one[f"{UNEVEN}/moved/{number}"])) > 1e-4, paths[number]


class _Start(keras.callbacks.Callback):
    """Keeps what the model answers before its first step."""

    def __init__(self, features: Any) -> None:
        super().__init__()
        self._features = features

    def on_train_begin(self, logs: Any = None) -> None:
        self.answers = {task: answers.numpy() for task, answers in self.model(self._features).items()}


@pytest.mark.slow
def test_a_run_starts_from_the_vectors_of_another(data: PreparedData, tmp_path: Path) -> None:
    small = {"hidden_units": (8,), "tower_units": (4,)}
    options: dict[str, Any] = {"preset": "shared_bottom", "preset_options": small, "epochs": 1, "batch_size": 64}
    first = fit(data, tmp_path / "first", TrainOptions(**options), verbose=0)
    taken = {"transform_from": str(data.directory), "extend_vocabularies": True}
    later = prepare(tmp_path / "later", problem_of_vectors(), log=log_of_vectors(next_day(), has_bad=False), **taken)
    assert later.statistics.states == data.statistics.states, "means and deviations are taken over"
    # Of the first day's requests all values are known to both.
    features, _ = whole_split(data, "test")
    expected = {task: answers.numpy() for task, answers in first(features).items()}
    start = _Start(features)
    options["init_from"] = str(tmp_path / "first")
    fit(later, tmp_path / "second", TrainOptions(**options), [start], verbose=0)
    for task, answers in expected.items():
        np.testing.assert_allclose(start.answers[task], answers, rtol=1e-5)
    old, new = (load(tmp_path / run / "model.keras").embedding.field_layers["vector"] for run in ("first", "second"))
    for before, after in zip(old.kernels, new.kernels, strict=True):
        assert np.any(before.numpy() != after.numpy()), "and it learns on"
