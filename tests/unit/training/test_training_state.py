"""The state file holds every variable and comes back bit by bit."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel
from tfmtl.training import TrainingError
from tfmtl.training.progress import Progress
from tfmtl.training.training_state import fits, read_progress, restore_state, save_state, state_variables

PROGRESS = Progress(2, 7, 1.5, False, {"loss": [0.1 + 0.2, float("nan")]}, {"3": {"best": None, "waited": 1}})


def trained(data: PreparedData, steps: int, **options) -> MultiTaskModel:
    model = tiny_model(data.inputs, "shared_bottom", dropout=0.2, **options)
    model.compile(balancing="uncertainty")  # with tables of an optimizer of their own, too
    model.optimizer.build(model.trainable_variables)
    for _ in range(steps):
        model.train_on_batch(*whole_split(data, "train"))
    return model


def values(model: MultiTaskModel) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in state_variables(model)]


@pytest.fixture(scope="module")
def model(tiny_data: PreparedData) -> MultiTaskModel:
    return trained(tiny_data, 2)


def test_every_kind_of_state_is_there_once(model: MultiTaskModel) -> None:
    found = state_variables(model)
    assert len({id(variable) for variable in found}) == len(found)
    assert any("seed" in variable.path for variable in found)
    own = {id(variable) for variable in found}
    for part in (model, model.optimizer.tables, model.optimizer.rest, model.balancing, model.task_metrics["watch"]):
        assert part.variables
        assert {id(variable) for variable in part.variables} <= own


def test_round_trip(model: MultiTaskModel, tiny_data: PreparedData, tmp_path: Path) -> None:
    path = tmp_path / "state.zip"
    save_state(path, model, PROGRESS)
    assert repr(read_progress(path)) == repr(PROGRESS)
    other = trained(tiny_data, 0)
    assert fits(path, other)
    restore_state(path, other)
    for one, two in zip(values(model), values(other), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    assert not fits(path, trained(tiny_data, 0, tower_units=(4,)))


def test_nan_is_not_kept(tiny_data: PreparedData, tmp_path: Path) -> None:
    model, path = trained(tiny_data, 0), tmp_path / "state.zip"
    save_state(path, model, PROGRESS)
    before = path.read_bytes()
    kernel = model.trainable_variables[-1]
    kernel.assign(kernel * np.nan)
    with pytest.raises(TrainingError) as caught:
        save_state(path, model, PROGRESS)
    assert str(caught.value).startswith(
        f"fit: the weights '{kernel.path}' must be finite. Received: NaN after step 7 of epoch 3. The last checkpoint"
    )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
