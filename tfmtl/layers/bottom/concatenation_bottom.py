"""The usual bottom: one representation that all tasks share."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.bottom._bottom_shapes import check_bottom_shapes, num_vectors
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.sequence.pooling import check_pooling, pooling_layer


@keras.saving.register_keras_serializable(package="tfmtl")
class ConcatenationBottom(BottomLayer):
    """Concatenates the fields and the pooled behavior sequences.

    Shapes: B batch, F fields, J behaviors, L sequence length, D embedding width.

    Args:
        pooling: str. How a sequence becomes one vector: `"mean"` of its events, `"target"`, their `TargetAttention` by
            the queries, or `"sdim"`, their `HashedAttention`, for histories of thousands. With `"mean_count"`,
            `"target_count"` and `"sdim_count"` the vector also says how many events there are (`CountedPooling`).
            Defaults to `"mean"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are behaviors `"events"`, float `(B, J, L, D)`,
            `"event_mask"`, bool `(B, J, L)`, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, 1, (F + J) * D)`; J is 0 without behaviors.

    Raises:
        ValueError: If `pooling` is unknown, or at build if a shape does not fit.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> inputs = {"fields": keras.ops.ones((8, 6, 4)), "events": events, "event_mask": mask}
    >>> tfmtl.layers.ConcatenationBottom()(inputs).shape
    TensorShape([8, 1, 36])
    """

    def __init__(self, pooling: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_pooling(type(self).__name__, pooling)
        self.pooling = pooling

    def build(self, input_shape: Shapes) -> None:
        check_bottom_shapes(type(self).__name__, input_shape)
        if "events" in input_shape:
            self.pool = pooling_layer(self.pooling, self.dtype_policy)
            self.pool.build(input_shape)

    def call(self, inputs: Tensors) -> Tensor:
        vectors = inputs["fields"]
        if "events" in inputs:
            vectors = ops.concatenate(with_equal_rows([vectors, self.pool(inputs)]), axis=1)  # (B, F + J, D)
        return ops.reshape(vectors, (-1, 1, vectors.shape[1] * vectors.shape[2]))

    @property
    def starts_with_fields(self) -> bool:
        """Whether the fields' vectors, as they are, come first in the output."""
        return True

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, width = input_shape["fields"]
        return (batch, 1, num_vectors(input_shape) * width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling": self.pooling}
