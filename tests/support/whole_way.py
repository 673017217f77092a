"""What holds of a trained model and its export, whatever kinds of features the problem has."""

from pathlib import Path

import keras
import numpy as np

from tests.support.saved_model_operations import foreign_operations
from tests.support.tiny_problem import whole_split
from tfmtl.data import PreparedData
from tfmtl.export.replay import replay
from tfmtl.models import load
from tfmtl.training import evaluate


def check_is_learned_and_kept(model: keras.Model, folder: Path, data: PreparedData) -> None:
    """The model can be measured, and its file answers with the same bits."""
    assert np.isfinite(evaluate(model, data)["click"]["auc"])
    features, _ = whole_split(data, "test")
    expected = model(features)
    for name, values in load(folder / "model.keras")(features).items():
        np.testing.assert_array_equal(values, expected[name])


def check_is_served_as_trained(version: Path) -> None:
    """Every signature answers as the training graph, with operations that a stock model server has."""
    result = replay(version)
    assert {"serving_default", "serve_examples", "rank"} <= set(result.differences)
    assert result.largest < 1e-5
    assert not foreign_operations(version)
