"""Stop a run whose loss is NaN or infinite."""

import math
from collections.abc import Callable, Mapping

import keras

from tfmtl.training.training_error import TrainingError


class StopOnNaN(keras.callbacks.Callback):
    """Raises `TrainingError` at the first step or validation whose loss is NaN or infinite, naming the tasks.

    Keras' own `TerminateOnNaN` stops without naming the task, and a moment later every task's loss is NaN. A
    running mean that has met NaN stays NaN, so the few numbers that Keras has at hand after a step are enough.

    Args:
        explain: function or None. Called once, with the epoch and the step (both counted from 0; the step `None` for
            a validation); returns sentences on what is at fault. Defaults to `None`.
        first_step: int. Steps of the first epoch that were done before, where a run goes on. Defaults to `0`.
    """

    def __init__(self, explain: Callable[[int, int | None], str] | None = None, first_step: int = 0) -> None:
        super().__init__()
        self._explain = explain
        self._next_first_step = first_step

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch
        self._first_step, self._next_first_step = self._next_first_step, 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check(logs or {}, self._first_step + batch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check(logs or {}, None)

    def _check(self, logs: Mapping[str, float], step: int | None) -> None:
        bad = {name: value for name, value in logs.items() if name.endswith("loss") and not math.isfinite(value)}
        if bad:
            epoch = self._epoch + 1
            when = f"the validation after epoch {epoch}" if step is None else f"step {step + 1} of epoch {epoch}"
            tasks = [name.removesuffix("/loss").removeprefix("val_") for name in bad if name.endswith("/loss")]
            explained = f" {self._explain(self._epoch, step)}" if self._explain else ""
            raise TrainingError(
                f"fit: the loss of {tasks or 'the layers'} must be finite. Received: {bad} at {when}.{explained} "
                "Lower `learning_rate`, set `clip_norm`, or look for extreme labels and features."
            )
