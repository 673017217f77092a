"""Epochs of Keras that are shorter than the others."""

from collections.abc import Mapping
from typing import Any

import keras


class ShortEpoch(keras.callbacks.Callback):
    """Ends some epochs early, and lets training go on after them.

    Keras gives every epoch the same number of steps. It has to be the first of the callbacks: what others say at the
    end of the epoch about stopping counts.

    Args:
        steps: epoch, from 0 -> its steps, of those that are short.
    """

    def __init__(self, steps: Mapping[int, int]) -> None:
        super().__init__()
        self._steps = dict(steps)
        self._last: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._last = self._steps.get(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch + 1 == self._last:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._last is not None:
            self.model.stop_training = False
        self._last = None
