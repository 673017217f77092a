"""Fixed task weights."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.balancing.balancer import Balancer
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_number, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class FixedWeights(Balancer):
    """Weighs every task by a constant.

    Scale: the default, all 1, is the plain sum of the losses.

    Args:
        task_weights: Sequence of numbers of at least 0, one per task in the order of the tasks, or `None` for all 1.
            Defaults to `None`.
        **kwargs: Passed to `keras.Operation` (`name`).

    Raises:
        TypeError: If `task_weights` is not a sequence of numbers.
        ValueError: If a weight is negative or not finite, or at build if there is not one for each task.
    """

    def __init__(self, task_weights: Sequence[float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        if task_weights is not None:
            rule, advice = "be a sequence of numbers of at least 0", "Give one per task, as in (1.0, 0.5)."
            if isinstance(task_weights, str) or not isinstance(task_weights, Sequence):
                raise TypeError(error_text(owner, "task_weights", rule, task_weights, advice))
            for weight in task_weights:
                check_number(owner, "task_weights", weight)
            if any(weight < 0 for weight in task_weights):
                raise ValueError(error_text(owner, "task_weights", rule, task_weights, advice))
        self.task_weights = None if task_weights is None else tuple(float(weight) for weight in task_weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "task_weights": self.task_weights}

    def _create_state(self, num_tasks: int) -> None:
        if self.task_weights is not None and len(self.task_weights) != num_tasks:
            rule, advice = f"have {num_tasks} numbers", "Give one per task."
            raise ValueError(error_text(type(self).__name__, "task_weights", rule, self.task_weights, advice))

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        return tf.ones_like(losses) if self.task_weights is None else tf.constant(self.task_weights, tf.float32)
