"""DEPHN's bottom: soft selection gates, one for each group of experts."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.bottom._bottom_shapes import check_bottom_shapes, num_vectors
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.gates.soft_selection_gate import SoftSelectionGate
from tfmtl.layers.sequence.pooling import check_pooling, pooling_layer
from tfmtl.schema.checks import check_bool, check_positive_int


@keras.saving.register_keras_serializable(package="tfmtl")
class SoftSelectionBottom(BottomLayer):
    """Gives the private experts of each task, and the public ones, a soft selection of their own.

    The fields and the pooled behavior sequences go through `SoftSelectionGate` with a group for each task and, last,
    one that belongs to all tasks.

    Shapes: B batch, T tasks, S = T + 1 or T, F fields, J behaviors, L sequence length, D embedding width.

    Args:
        num_tasks: int. Number of tasks T.
        num_heads: int. Number of attention heads; it must divide D. Defaults to `2`.
        pooling: str. How a sequence becomes one vector: `"mean"` of its events, `"target"`, their `TargetAttention` by
            the queries, or `"sdim"`, their `HashedAttention`, for histories of thousands. With `"mean_count"`,
            `"target_count"` and `"sdim_count"` the vector also says how many events there are (`CountedPooling`).
            Defaults to `"mean"`.
        private_attention: bool. Whether each group has an attention of its own; if not, one serves all.
            Defaults to `False`.
        public_representation: bool. Whether to append a representation of all tasks together, for sharing layers that
            read one, such as `HeterogeneousExperts` and `PLE`. Defaults to `False`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are behaviors `"events"`, float `(B, J, L, D)`,
            `"event_mask"`, bool `(B, J, L)`, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, S, (F + J) * D)`; J is 0 without behaviors.

    Raises:
        ValueError: If a size is not positive, `pooling` is unknown, or at build if a shape does not fit.
        TypeError: If a size is not an int or a switch not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SoftSelectionBottom(num_tasks=2)({"fields": keras.ops.ones((8, 6, 4))}).shape
    TensorShape([8, 2, 24])

    Reference:
        Kong et al. 2023 (DEPHN), https://arxiv.org/abs/2307.12519, eq. 1 and fig. 2a. The paper has no behavior
        sequences: that a pooled one is treated as a field is our reading.
    """

    def __init__(
        self,
        num_tasks: int,
        num_heads: int = 2,
        pooling: str = "mean",
        private_attention: bool = False,
        public_representation: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "num_heads", num_heads)
        check_pooling(owner, pooling)
        check_bool(owner, "private_attention", private_attention)
        check_bool(owner, "public_representation", public_representation)
        self.num_tasks = num_tasks
        self.num_heads = num_heads
        self.pooling = pooling
        self.private_attention = private_attention
        self.public_representation = public_representation

    def build(self, input_shape: Shapes) -> None:
        check_bottom_shapes(type(self).__name__, input_shape)
        if "events" in input_shape:
            self.pool = pooling_layer(self.pooling, self.dtype_policy)
            self.pool.build(input_shape)
        batch, _, width = input_shape["fields"]
        self.selection = SoftSelectionGate(
            self.num_tasks + int(self.public_representation),
            self.num_heads,
            self.private_attention,
            dtype=self.dtype_policy,
        )
        self.selection.build((batch, num_vectors(input_shape), width))

    def call(self, inputs: Tensors) -> Tensor:
        vectors = inputs["fields"]
        if "events" in inputs:
            vectors = ops.concatenate(with_equal_rows([vectors, self.pool(inputs)]), axis=1)  # (B, F + J, D)
        selected = self.selection(vectors)  # (B, S, F + J, D)
        _, streams, count, width = selected.shape
        return ops.reshape(selected, (-1, streams, count * width))

    @property
    def private_weights(self) -> list[keras.Variable]:
        """The weights in which every task has a part that only its own representation depends on."""
        # What belongs to all tasks has its gate in the same weight.
        return [] if self.public_representation else [self.selection.gate_logits]

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, width = input_shape["fields"]
        return (batch, self.num_tasks + int(self.public_representation), num_vectors(input_shape) * width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_heads": self.num_heads,
            "pooling": self.pooling,
            "private_attention": self.private_attention,
            "public_representation": self.public_representation,
        }
