"""Ends a run whose loss is no number any more."""

import math
from collections.abc import Mapping

import keras


class TrainingError(RuntimeError):
    """A training run cannot go on; the text names the task and the step."""


class StopOnNaN(keras.callbacks.Callback):
    """Raises `TrainingError` at the first step or validation whose loss is NaN or infinite, naming the tasks.

    Keras' own `TerminateOnNaN` stops without a word about the task, and a moment later every task's loss is NaN.
    """

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check(logs or {}, f"step {batch + 1} of epoch {self._epoch}")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check(logs or {}, f"the validation after epoch {self._epoch}")

    def _check(self, logs: Mapping[str, float], when: str) -> None:
        bad = {name: value for name, value in logs.items() if name.endswith("loss") and not math.isfinite(value)}
        if bad:
            tasks = [name.removesuffix("/loss").removeprefix("val_") for name in bad if name.endswith("/loss")]
            raise TrainingError(
                f"fit: the loss of {tasks or 'the layers'} must be finite. Received: {bad} at {when}. "
                "Lower `learning_rate`, or look for extreme labels and features."
            )
