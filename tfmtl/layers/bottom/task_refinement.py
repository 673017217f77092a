"""DTRN's Task-specific Representation Refinement Module (TRM)."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_axis, check_one_of, check_positive_int, check_shape

_GATES = {
    # Twice the sigmoid, so that logits of zero leave a field as it is.
    "2sigmoid": lambda logits: 2.0 * ops.sigmoid(logits),
    "sigmoid": ops.sigmoid,
    "relu": ops.relu,
    "identity": lambda logits: logits,
}


def check_refinement_arguments(owner: str, reduction: int, squeeze: str, gate: str) -> None:
    """Raises unless the arguments are ones `TaskRefinement` takes; layers that hold one check theirs by it."""
    check_positive_int(owner, "reduction", reduction)
    check_one_of(owner, "squeeze", squeeze, ("mean", "flatten"))
    check_one_of(owner, "gate", gate, (*_GATES, "off"))


@keras.saving.register_keras_serializable(package="tfmtl")
class TaskRefinement(keras.layers.Layer):
    """Weighs the fields anew for every task.

    For task k with fields `U_k`: `w_k = gate(W2_k relu(W1_k q + b1_k) + b2_k)` with q the squeezed fields; the result
    is `w_k * U_k`, one weight for each field. It is a squeeze-and-excitation with weights of its own for each task,
    so the result has the tasks' axis even where all tasks start from the same fields (S = 1).

    Shapes: B batch, T tasks, S = 1 or T, F fields, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        reduction: int. The hidden width is `max(1, F // reduction)`. Defaults to `2`.
        squeeze: str. What the network sees of the fields: `"mean"` of each over D, or all of them, `"flatten"`.
            Defaults to `"mean"`.
        gate: str. `"2sigmoid"`, `"sigmoid"`, `"relu"` (a field can be removed), `"identity"`, or `"off"`: no weights,
            every task gets its fields as they are. Defaults to `"2sigmoid"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, F, D)`.

    Returns:
        float `(B, T, F, D)`.

    Raises:
        ValueError: If a size is not positive, a choice unknown, or at build if the inputs have another shape.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.TaskRefinement(num_tasks=2)(keras.ops.ones((8, 1, 6, 4))).shape
    TensorShape([8, 2, 6, 4])

    Reference:
        Liu et al. 2023 (DTRN), https://arxiv.org/abs/2308.05996. That each task has a network which weighs the
        embeddings is the paper's; the squeeze, the widths and the gate are our reading, after Hu et al. 2018,
        https://arxiv.org/abs/1709.01507, eq. 2-4.
    """

    def __init__(
        self,
        num_tasks: int,
        reduction: int = 2,
        squeeze: str = "mean",
        gate: str = "2sigmoid",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_refinement_arguments(owner, reduction, squeeze, gate)
        self.num_tasks = num_tasks
        self.reduction = reduction
        self.squeeze = squeeze
        self.gate = gate

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, S, F, D")
        advice = "Give one representation for all tasks, or one for each."
        check_axis(owner, "inputs", input_shape, 1, (1, self.num_tasks), advice)
        batch, streams, fields, width = input_shape
        if self.gate == "off":
            return
        squeezed_width = fields if self.squeeze == "mean" else fields * width
        bottleneck = max(1, fields // self.reduction)
        self.reduce = StackedDense(self.num_tasks, bottleneck, "relu", dtype=self.dtype_policy)
        self.reduce.build((batch, streams, squeezed_width))
        self.excite = StackedDense(self.num_tasks, fields, dtype=self.dtype_policy)
        self.excite.build((batch, self.num_tasks, bottleneck))

    def call(self, inputs: Tensor) -> Tensor:
        if self.gate == "off":
            return ops.repeat(inputs, self.num_tasks // inputs.shape[1], axis=1)
        return inputs * self.field_weights(inputs)[..., None]

    def field_weights(self, inputs: Tensor) -> Tensor:
        """Returns the weight every task gives every field, float `(B, T, F)`; ones if the gate is off."""
        _, streams, fields, width = inputs.shape
        if self.gate == "off":
            return ops.ones((ops.shape(inputs)[0], self.num_tasks, fields), dtype=self.compute_dtype)
        if self.squeeze == "mean":
            squeezed = ops.mean(inputs, axis=-1)  # (B, S, F)
        else:
            squeezed = ops.reshape(inputs, (-1, streams, fields * width))
        return _GATES[self.gate](self.excite(self.reduce(squeezed)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, fields, width = input_shape
        return (batch, self.num_tasks, fields, width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "reduction": self.reduction,
            "squeeze": self.squeeze,
            "gate": self.gate,
        }
