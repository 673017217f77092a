"""Adaptive information transfer along a chain of tasks (AITM)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.parents import check_parents, parent_pairs, tasks_by_depth
from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_axis, check_rate, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class InformationTransfer(keras.layers.Layer):
    """Lets every task take from its parent what it needs.

    A task without a parent keeps its representation, `z_t = q_t`. Any other is told `p_t = relu(W_t z_parent + b_t)`
    and attends to the two: `z_t = sum_i w_i V_i` over i in `[q_t, p_t]`, with `w = softmax_i(<K_i, Q_i> / sqrt(H))`
    and queries, keys and values linear in their entry, by weights of each task's own. The loop is over the depth of
    the tree of tasks; tasks of one depth are computed as batched products.

    Shapes: B batch, T tasks, H width.

    Args:
        parents: Sequence of int or None. The index of each task's parent, in any order, as `(None, 0, 1)`.
        dropout: float in [0, 1). Share of what a task is told that is dropped in training. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, T, H)`, the towers' outputs.

    Returns:
        float `(B, T, H)`.

    Raises:
        ValueError: If a parent is not a task, the parents form a cycle, `dropout` is outside [0, 1), or at build if
            the inputs are not `(B, T, H)`.
        TypeError: If `parents` is not a sequence of ints and None.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.InformationTransfer((None, 0))(keras.ops.ones((8, 2, 4))).shape
    TensorShape([8, 2, 4])

    Reference:
        Xi et al. 2021 (AITM), https://arxiv.org/abs/2105.08489, section 3.3, for a chain; any tree of tasks, and
        that queries, keys and values have no bias, is our reading.
    """

    def __init__(self, parents: Sequence[int | None], dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_parents(owner, parents)
        check_rate(owner, "dropout", dropout)
        self.parents = tuple(parents)
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, T, H")
        advice = "Give every task its own representation."
        check_axis(owner, "inputs", input_shape, 1, (len(self.parents),), advice)
        batch, _, width = input_shape
        self.transfers = []
        self.projections = []
        for tasks in tasks_by_depth(self.parents)[1:]:
            transfer = StackedDense(len(tasks), width, "relu", dtype=self.dtype_policy)
            # Queries, keys and values in one product. Glorot would take the three widths for one; LeCun, which
            # looks at the inputs' width alone, draws from the range that Glorot has for each of the three.
            projection = StackedDense(
                len(tasks), 3 * width, use_bias=False, kernel_initializer="lecun_uniform", dtype=self.dtype_policy
            )
            for layer in (transfer, projection):
                layer.build((batch, len(tasks), width))
            self.transfers.append(transfer)
            self.projections.append(projection)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.dropout_layer.build((batch, None, width))

    def call(self, inputs: Tensor) -> Tensor:
        return self._transfer(inputs)[0]

    def transfer_weights(self, inputs: Tensor) -> Tensor:
        """Returns how much each task takes of its own and of what it is told, float `(B, T, 2)`; they sum to 1."""
        return self._transfer(inputs)[1]

    def _transfer(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the tasks' representations after the transfer and the weights of the two they are made of."""
        first, *levels = tasks_by_depth(self.parents)
        parent_of = dict(parent_pairs(self.parents))
        done = list(first)
        outputs = ops.take(inputs, done, axis=1)  # (B, len(done), H), as what follows
        weights = ops.stack([ops.ones_like(outputs[..., 0]), ops.zeros_like(outputs[..., 0])], axis=-1)
        for tasks, transfer, projection in zip(levels, self.transfers, self.projections, strict=True):
            above = ops.take(outputs, [done.index(parent_of[task]) for task in tasks], axis=1)
            told = self.dropout_layer(transfer(above))
            mixed, mixing = _attend(projection, ops.take(inputs, tasks, axis=1), told)
            outputs = ops.concatenate([outputs, mixed], axis=1)
            weights = ops.concatenate([weights, mixing], axis=1)
            done += tasks
        order = [done.index(task) for task in range(len(done))]
        return ops.take(outputs, order, axis=1), ops.take(weights, order, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parents": list(self.parents), "dropout": self.dropout}


def _attend(projection: StackedDense, own: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the attention over two representations `(B, N, H)` of each task, and its weights `(B, N, 2)`."""
    _, count, width = own.shape
    # The two are to a projection what examples are: only the batch is longer.
    projected = ops.reshape(projection(ops.concatenate([own, told], axis=0)), (2, -1, count, 3, width))
    queries, keys, values = ops.unstack(projected, axis=3)  # each (2, B, N, H)
    products = ops.cast(keys, "float32") * ops.cast(queries, "float32")
    weights = tf.nn.softmax(ops.sum(products, axis=-1) / width**0.5, axis=0)  # (2, B, N)
    weights = ops.cast(weights, values.dtype)
    return ops.sum(weights[..., None] * values, axis=0), ops.transpose(weights, (1, 2, 0))
