"""The exponential moving average of the weights."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfmtl.schema.checks import check_positive_int, check_probability

_ADVICE = "Use 0.99: about the last hundred steps."
_FREE = 250_000  # weights; a pass over so many takes .3 ms
_LARGEST_EVERY = 32


class WeightAverage(keras.callbacks.Callback):
    """Keeps an exponential moving average of the trainable weights, which is what is measured and kept.

    After step n, counted from 1, `average = m average + (1 - m) weights` with `m = min(momentum, (1 + n) / (10 + n))`:
    a young average forgets the initial weights fast. With `every=k` that is done for the first k steps, and then after
    each k-th step with `m^k`, which forgets as fast. From the beginning of a validation to the end of its epoch the
    model holds the average, and the average's place the weights; training itself never sees it.

    It costs memory for a copy of all weights, and every k-th step a pass over both.

    It has to stand after the callbacks that are to see the average at the end of an epoch, and before `KeepState`. The
    model holds it as an attribute, so that it is part of the state that a run goes on from.

    Args:
        model: compiled model, with a built optimizer, whose weights are averaged.
        momentum: float, strictly between 0 and 1. Largest share of the average that a step keeps.
        every: int or None. Steps between two passes. Defaults to `None`: as few as cost little, 1 for up to 250,000
            weights and at most 32.

    Raises:
        ValueError, TypeError: If `momentum` or `every` is no such number.

    Reference:
        Polyak and Juditsky 1992, https://doi.org/10.1137/0330046, with the exponential weights and the young average of
        `tf.train.ExponentialMovingAverage`.
    """

    def __init__(self, model: keras.Model, momentum: float, every: int | None = None) -> None:
        super().__init__()
        check_probability(type(self).__name__, "momentum", momentum, _ADVICE)
        self.momentum = momentum
        self._weights = model.trainable_variables
        if every is None:
            size = sum(math.prod(weight.shape) for weight in self._weights)
            every = min(max(1, -(-size // _FREE)), _LARGEST_EVERY)
        check_positive_int(type(self).__name__, "every", every)
        self.every = every
        self.variables = [
            # Of a copy: given a tf.Variable, Keras would make a second name for it.
            keras.Variable(keras.ops.copy(weight.value), trainable=False, name=f"average_{weight.name}")
            for weight in self._weights
        ]
        self._swapped = False
        self._seen = 0
        self._advance = tf.function(self._one_step)
        model.weight_average = self

    def get_config(self) -> dict[str, Any]:
        """Marks the object as part of the model's state."""
        return {"momentum": self.momentum, "every": self.every}

    def on_train_begin(self, logs: Any = None) -> None:
        self._seen = self._steps()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        before, self._seen = self._seen, self._steps()
        # Several steps may have been one execution.
        if self._seen <= self.every or self._seen // self.every > before // self.every:
            self._advance(tf.constant(self._share_kept(self._seen)))

    def _steps(self) -> int:
        return int(tf.convert_to_tensor(self.model.optimizer.iterations.value))

    def _share_kept(self, steps: int) -> float:
        share = min(self.momentum, (1.0 + steps) / (10.0 + steps))
        return float(share ** (1 if steps <= self.every else self.every))

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._swapped:
            self.swap()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._swapped:
            self.swap()

    def restart(self) -> None:
        """The average is the weights as they are now, such as after they were loaded."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            average.assign(weight.value)

    def swap(self) -> None:
        """Exchanges the model's weights and the average."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            kept = keras.ops.copy(weight.value)
            weight.assign(average.value)
            average.assign(kept)
        self._swapped = not self._swapped

    def _one_step(self, share: tf.Tensor) -> None:
        for weight, average in zip(self._weights, self.variables, strict=True):
            now = tf.convert_to_tensor(average.value)
            average.assign(now + tf.cast(1.0 - share, now.dtype) * (tf.convert_to_tensor(weight.value) - now))
