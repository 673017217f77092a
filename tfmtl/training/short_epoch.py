"""Resume in the middle of an epoch."""

from typing import Any

import keras


class ShortEpoch(keras.callbacks.Callback):
    """Ends the first epoch after some steps, and lets training go on after it.

    Keras gives every epoch the same number of steps. It has to be the first of the callbacks: what others say at the
    end of the epoch about stopping counts.

    Args:
        steps: int or None. Steps of the first epoch; `None` for all of them.
    """

    def __init__(self, steps: int | None) -> None:
        super().__init__()
        self._steps = steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch + 1 == self._steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._steps is not None:
            self.model.stop_training = False
        self._steps = None
