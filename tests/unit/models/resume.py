"""A process of its own: loads saved models, predicts and trains on. Arguments: data folder, folder of the models."""

import sys
from pathlib import Path

import keras
import numpy as np

import tfmtl.models
from tests.support.tiny_problem import whole_split
from tfmtl.data import PreparedData


def state(model: keras.Model, data: PreparedData) -> dict[str, np.ndarray]:
    """Predictions, weights and optimizer state; if the model is compiled, also after another epoch."""
    found = _snapshot(model, data, "saved")
    if model.compiled:
        keras.utils.set_random_seed(1)  # the order of the rows depends on it
        model.fit(data.train(90), epochs=1, verbose=0)
        found |= _snapshot(model, data, "resumed")
    return found


def _snapshot(model: keras.Model, data: PreparedData, when: str) -> dict[str, np.ndarray]:
    optimizer = model.optimizer.variables if model.compiled else []
    outputs = model(whole_split(data, "test")[0])
    return {
        **{f"{when}/{task}": values.numpy() for task, values in outputs.items()},
        **{f"{when}/weights/{n}": value for n, value in enumerate(model.get_weights())},
        **{f"{when}/optimizer/{n}": value.numpy() for n, value in enumerate(optimizer)},
    }


if __name__ == "__main__":
    for path in Path(sys.argv[2]).glob("*.keras"):
        load = keras.saving.load_model if path.stem in ("dtrn", "mmoe") else tfmtl.models.load
        np.savez(path.with_suffix(".npz"), **state(load(path), PreparedData(sys.argv[1])))
