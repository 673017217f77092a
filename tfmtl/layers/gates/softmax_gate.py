"""The gate that mixes experts."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.masking import masked_softmax
from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_number, check_positive_int, error_text


def check_gate_arguments(owner: str, num_experts: int, top_k: int | None, load_balance_weight: float) -> None:
    """Raises unless the arguments are ones `SoftmaxGate` takes; layers that hold one check theirs by it."""
    check_positive_int(owner, "num_experts", num_experts)
    if top_k is not None:
        check_positive_int(owner, "top_k", top_k, "Use 1 or more, or None for all.")
        if top_k > num_experts:
            advice = "Use fewer, or None for all."
            raise ValueError(error_text(owner, "top_k", f"be at most num_experts={num_experts}", top_k, advice))
    check_number(owner, "load_balance_weight", load_balance_weight)
    if load_balance_weight < 0:
        advice = "Use a small number such as 0.01, or 0 for none."
        raise ValueError(error_text(owner, "load_balance_weight", "be at least 0", load_balance_weight, advice))


@keras.saving.register_keras_serializable(package="tfmtl")
class SoftmaxGate(keras.layers.Layer):
    """Gives every task its mixing weights over the experts: `softmax(W_k x)`, without bias.

    With `top_k` only a task's k largest logits share the softmax, for every example anew. With `load_balance_weight`
    w a training call adds the loss `w sum_k CV_k^2`, where `CV_k = std / mean` over the experts of the weight each
    got in the batch from task k: zero when a task uses all experts equally, and at most `E - 1` a task. A replica of
    a distribution strategy measures this on its own part of the batch.

    Shapes: B batch, T tasks, S = 1 or T, E experts, H width.

    Args:
        num_tasks: int. Number of tasks T, each with a matrix of its own.
        num_experts: int. Number of experts E.
        top_k: int or None. How many experts an example of a task uses, the others have weight 0; `None` for all.
            Defaults to `None`.
        load_balance_weight: float, at least 0. Weight of the loss on unequal use. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`.
        training: bool. Whether to add the loss on unequal use.

    Returns:
        float `(B, T, E)`; non-negative, and sums to 1 over E.

    Raises:
        ValueError: If a size is not positive, `top_k` above `num_experts`, `load_balance_weight` negative, or at
            build if the inputs are neither `(B, 1, H)` nor `(B, T, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SoftmaxGate(num_tasks=2, num_experts=4)(keras.ops.ones((8, 1, 5))).shape
    TensorShape([8, 2, 4])

    Reference:
        Ma et al. 2018 (MMoE), https://doi.org/10.1145/3219819.3220007. Top k and the loss on unequal use are those
        of Shazeer et al. 2017, https://arxiv.org/abs/1701.06538, eq. 3-7, without its noise; that tasks are balanced
        one by one is our reading.
    """

    def __init__(
        self,
        num_tasks: int,
        num_experts: int,
        top_k: int | None = None,
        load_balance_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_gate_arguments(owner, num_experts, top_k, load_balance_weight)
        self.num_tasks = num_tasks
        self.num_experts = num_experts
        self.top_k = top_k
        self.load_balance_weight = load_balance_weight

    def build(self, input_shape: Shape) -> None:
        self.logits = StackedDense(self.num_tasks, self.num_experts, use_bias=False, dtype=self.dtype_policy)
        self.logits.build(input_shape)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        # In float32, because a sum of weights rounded to bfloat16 can miss 1 by a percent.
        logits = ops.cast(self.logits(inputs), "float32")  # (B, T, E)
        if self.top_k is None:
            weights = tf.nn.softmax(logits, axis=-1)  # not `ops.softmax`, which warns about a single expert
        else:
            weights = masked_softmax(logits, _are_largest(logits, self.top_k))
        if training and self.load_balance_weight:
            self.add_loss(self.load_balance_weight * _imbalance(weights))
        return ops.cast(weights, self.compute_dtype)

    @property
    def input_layers(self) -> list[StackedDense]:
        """The layers that read the inputs."""
        return [self.logits]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_tasks, self.num_experts)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_experts": self.num_experts,
            "top_k": self.top_k,
            "load_balance_weight": self.load_balance_weight,
        }


def _are_largest(logits: Tensor, count: int) -> Tensor:
    """Returns where the `count` largest of the last axis are, bool; of equal ones the first, so never more."""
    _, indices = ops.top_k(logits, count)
    return ops.any(ops.one_hot(indices, logits.shape[-1], dtype="bool"), axis=-2)


def _imbalance(weights: Tensor) -> Tensor:
    """Returns the squared coefficient of variation over experts of their use `(B, T, E)`, summed over tasks."""
    use = ops.sum(weights, axis=0)  # (T, E)
    variance, mean = ops.var(use, axis=-1), ops.mean(use, axis=-1)
    # A batch without rows, as the last one may be on a replica, has no use to balance.
    return ops.sum(ops.divide_no_nan(variance, ops.square(mean)))
