"""Knots of piecewise numbers: where `fit` puts them, and that a run keeps them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.tiny_problem import tiny_model, whole_split
from tfmtl.core.spread_knots import spread_knots
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel, load
from tfmtl.training import TrainOptions, fit

SMALL = {"hidden_units": (8,), "tower_units": (4,), "number_bins": 4}


def options(**changes: Any) -> TrainOptions:
    return TrainOptions("shared_bottom", SMALL, **{"epochs": 1, "batch_size": 120, **changes})


def knots(model: MultiTaskModel) -> np.ndarray:
    assert model.embedding.pieces is not None
    return np.asarray(model.embedding.pieces.knots)


@pytest.fixture(scope="module")
def run(tiny_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    fit(tiny_data, folder, options(), verbose=0)
    return folder


def test_knots_are_of_the_training_rows_alone_and_are_saved(tiny_data: PreparedData, run: Path) -> None:
    model = load(run / "model.keras")
    for row, each in zip(knots(model), model.embedding.plan.numbers, strict=True):
        values = [np.asarray(whole_split(tiny_data, split)[0][each.key]) for split in ("train", "valid")]
        np.testing.assert_allclose(row, spread_knots(values[0], 4), rtol=1e-5, atol=1e-6)
        assert not np.allclose(row, spread_knots(np.concatenate(values), 4))


def test_a_run_that_goes_on_from_another_keeps_its_knots(tiny_data: PreparedData, run: Path, tmp_path: Path) -> None:
    before = load(run / "model.keras")
    assert before.embedding.pieces is not None
    before.embedding.pieces.knots.assign(knots(before) + 1.0)
    before.save(run / "model.keras")
    after = fit(tiny_data, tmp_path, options(init_from=str(run)), verbose=0)
    np.testing.assert_array_equal(knots(after), knots(before))


def test_a_model_of_before_there_were_bins_loads_as_it_was(tiny_data: PreparedData) -> None:
    model = tiny_model(tiny_data.inputs, "shared_bottom", number_bins=0)
    config = model.get_config()
    del config["number_bins"]
    old = MultiTaskModel.from_config(config)
    old.build()
    assert [weight.shape for weight in old.weights] == [weight.shape for weight in model.weights]
    assert tiny_model(tiny_data.inputs, "shared_bottom").embedding.number_bins == 16
