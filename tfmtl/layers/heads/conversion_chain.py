"""The conversion chain: from conditional probabilities to probabilities on the entire space."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.parents import check_parents, tasks_by_depth
from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_axis, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class ConversionChain(keras.layers.Layer):
    """Multiplies the probability of each step by that of the steps before it, in logits.

    Logit k stands for `p_k = P(step k | its parent)`; what comes out is the logit of `P_k = P_parent p_k`, and the
    logit itself for a task without a parent. So `P_k` never exceeds `P_parent`, and a loss on `P_k` counts every
    example, not only those where the parent happened. It has no weights. With u the parent's logit and v the step's,
    the logit is `-log(e^-u + e^-v + e^-(u + v))`: finite, with a gradient, for every u and v whose sum is.

    Shapes: B batch, T tasks.

    Args:
        parents: Sequence of int or None. The index of each task's parent, in any order, as `(None, 0, 1)`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, T)`, logits.

    Returns:
        float32 `(B, T)`, logits, also under mixed precision.

    Raises:
        ValueError: If a parent is not a task, the parents form a cycle, or at build if the inputs are not `(B, T)`.
        TypeError: If `parents` is not a sequence of ints and None.

    Example:

    >>> import keras, tfmtl
    >>> logits = tfmtl.layers.ConversionChain((None, 0))(keras.ops.zeros((1, 2)))  # P(buy | click) = 1/2
    >>> round(float(keras.ops.sigmoid(logits)[0, 1]), 6)
    0.25

    Reference:
        Ma et al. 2018 (ESMM), https://arxiv.org/abs/1804.07931, eq. 1, for two tasks; any tree of tasks is our
        reading.
    """

    def __init__(self, parents: Sequence[int | None], **kwargs: Any) -> None:
        # Without autocast, because logits rounded to bfloat16 have three significant digits.
        super().__init__(autocast=False, **kwargs)
        check_parents(type(self).__name__, parents)
        self.parents = tuple(parents)

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, T")
        check_axis(owner, "inputs", input_shape, 1, (len(self.parents),), "Give one logit for each task.")

    def call(self, inputs: Tensor) -> Tensor:
        logits = ops.cast(inputs, "float32")
        is_step = np.array([parent is not None for parent in self.parents])
        above = np.array([task if parent is None else parent for task, parent in enumerate(self.parents)])
        paths = logits
        # After n rounds every path of up to n steps is whole.
        for _ in tasks_by_depth(self.parents)[1:]:
            paths = ops.where(is_step, _logit_of_both(ops.take(paths, above, axis=1), logits), logits)
        return paths

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parents": list(self.parents)}


def _logit_of_both(one: Tensor, other: Tensor) -> Tensor:
    """Returns the logit of `sigmoid(one) sigmoid(other)`; never above either, rounding included."""
    return -ops.logsumexp(ops.stack([-one, -other, -one - other], axis=-1), axis=-1)
