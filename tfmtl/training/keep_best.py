"""Keep the model of the best epoch, with early stopping."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tfmtl.training.non_finite import weight_faults
from tfmtl.training.training_error import TrainingError, written

_SIGNS = {"max": 1.0, "min": -1.0}


class KeepBest(keras.callbacks.Callback):
    """Saves the model at every epoch that is better than all before; stops after `patience` epochs that are not.

    What Keras' `ModelCheckpoint` and `EarlyStopping` do together, with a state that can be kept, and no second copy
    of the weights in memory.

    Args:
        path: where the best model goes, a `.keras` file.
        monitor: str. Metric, as in the logs.
        direction: str. `"max"` or `"min"`: which way the metric is better.
        patience: int. Epochs without improvement before training stops.

    Raises:
        TrainingError: at the end of an epoch, where the model to be kept holds a weight that is NaN or infinite, or
            cannot be written.
    """

    def __init__(self, path: Path, monitor: str, direction: str, patience: int) -> None:
        super().__init__()
        self._path = path
        self._monitor = monitor
        self._patience = patience
        self._sign = _SIGNS[direction]
        self._best: float | None = None
        self._waited = 0

    def get_state(self) -> dict[str, Any]:
        """Plain values for `set_state`."""
        return {"best": self._best, "waited": self._waited}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `get_state` was called."""
        self._best, self._waited = state["best"], state["waited"]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        value = float((logs or {})[self._monitor])
        if self._best is not None and self._sign * value <= self._sign * self._best:
            self._waited += 1
            self.model.stop_training |= self._waited >= self._patience
            return
        self._best, self._waited = value, 0
        save_model(self.model, self._path)


def best_epoch(direction: str, values: Sequence[float]) -> int:
    """The epoch, from 0, whose model is kept: the first of the best ones."""
    return max(range(len(values)), key=lambda epoch: (_SIGNS[direction] * values[epoch], -epoch))


def save_model(model: keras.Model, path: Path) -> None:
    """Saves the model whole or not at all.

    Raises:
        TrainingError: a weight is NaN or infinite, or the file cannot be written.
    """
    broken = weight_faults(model)
    if broken:
        raise TrainingError(
            f"fit: the weights {broken[:3]} must be finite to be kept. Received: {len(broken)} of "
            f"{len(model.variables)} that are not. Lower `learning_rate`, set `clip_norm`, or look for extreme labels "
            "and features."
        )
    with written(path) as partial:
        model.save(partial)
