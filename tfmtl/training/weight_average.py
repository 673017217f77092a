"""The exponential moving average of the weights."""

from typing import Any

import keras
import tensorflow as tf

from tfmtl.schema.checks import check_probability

_ADVICE = "Use 0.999: about the last thousand steps."


class WeightAverage(keras.callbacks.Callback):
    """Keeps an exponential moving average of the trainable weights, which is what is measured and kept.

    After step n, counted from 1, `average = m average + (1 - m) weights` with `m = min(momentum, (1 + n) / (10 + n))`:
    a young average forgets the initial weights fast. From the beginning of a validation to the end of its epoch the
    model holds the average, and the average's place the weights; training itself never sees it.

    A step costs a pass over all weights more, large tables included, and memory a copy of them.

    It has to stand after the callbacks that are to see the average at the end of an epoch, and before `KeepState`. The
    model holds it as an attribute, so that it is part of the state that a run goes on from.

    Args:
        model: compiled model, with a built optimizer, whose weights are averaged.
        momentum: float, strictly between 0 and 1. Largest share of the average that a step keeps.

    Raises:
        ValueError, TypeError: If `momentum` is no such number.

    Reference:
        Polyak and Juditsky 1992, https://doi.org/10.1137/0330046, with the exponential weights and the young average of
        `tf.train.ExponentialMovingAverage`.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        super().__init__()
        check_probability(type(self).__name__, "momentum", momentum, _ADVICE)
        self.momentum = momentum
        self._weights = model.trainable_variables
        self.variables = [
            # Of a copy: given a tf.Variable, Keras would make a second name for it.
            keras.Variable(keras.ops.copy(weight.value), trainable=False, name=f"average_{weight.name}")
            for weight in self._weights
        ]
        self._swapped = False
        self._advance = tf.function(self._one_step)
        model.weight_average = self

    def get_config(self) -> dict[str, Any]:
        """Marks the object as part of the model's state."""
        return {"momentum": self.momentum}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._advance(tf.cast(self.model.optimizer.iterations.value, tf.float32))

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._swapped:
            self.swap()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._swapped:
            self.swap()

    def swap(self) -> None:
        """Exchanges the model's weights and the average."""
        for weight, average in zip(self._weights, self.variables, strict=True):
            kept = keras.ops.copy(weight.value)
            weight.assign(average.value)
            average.assign(kept)
        self._swapped = not self._swapped

    def _one_step(self, steps: tf.Tensor) -> None:
        rest = 1.0 - tf.minimum(self.momentum, (1.0 + steps) / (10.0 + steps))
        for weight, average in zip(self._weights, self.variables, strict=True):
            now = tf.convert_to_tensor(average.value)
            average.assign(now + tf.cast(rest, now.dtype) * (tf.convert_to_tensor(weight.value) - now))
