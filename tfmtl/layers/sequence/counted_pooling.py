"""A pooling whose result says how many events there were."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence.hashed_attention import HashedAttention
from tfmtl.layers.sequence.mean_pooling import MeanPooling
from tfmtl.layers.sequence.target_attention import TargetAttention
from tfmtl.schema.checks import check_one_of

_INNER = {"mean": MeanPooling, "target": TargetAttention, "sdim": HashedAttention}


@keras.saving.register_keras_serializable(package="tfmtl")
class CountedPooling(keras.layers.Layer):
    """Pools every behavior sequence and adds a learned vector times the logarithm of its number of events.

    A mean and a softmax are the same for one event and for fifty like it. With n real events the result is
    `pooled + log(1 + n) w`; the one vector w serves all behaviors and starts at zero, as the plain pooling.

    Shapes: B batch, J behaviors, L sequence length, D embedding width.

    Args:
        pooling: str. What is added to: `"mean"` (`MeanPooling`), `"target"` (`TargetAttention`) or `"sdim"`
            (`HashedAttention`). Defaults to `"mean"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, `"event_mask"`, bool `(B, J, L)`, true at real events, and,
            unless the pooling is `"mean"`, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, J, D)`; zeros for an empty sequence.

    Raises:
        ValueError: If `pooling` is unknown, or at build if a shape does not fit.

    Example:

    >>> import keras, tfmtl
    >>> inputs = {"events": keras.ops.ones((8, 2, 5, 4)), "event_mask": keras.ops.ones((8, 2, 5), "bool")}
    >>> tfmtl.layers.CountedPooling("mean")(inputs).shape
    TensorShape([8, 2, 4])
    """

    def __init__(self, pooling: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_one_of(type(self).__name__, "pooling", pooling, tuple(_INNER))
        self.pooling = pooling

    def build(self, input_shape: Shapes) -> None:
        self.inner = _INNER[self.pooling](dtype=self.dtype_policy)
        self.inner.build(input_shape)
        width = input_shape["events"][-1]
        self.count_kernel = self.add_weight(name="count_kernel", shape=(width,), initializer="zeros")

    def call(self, inputs: Tensors) -> Tensor:
        return self.inner(inputs) + self.count_vector(inputs["event_mask"])

    def count_vector(self, event_mask: Tensor) -> Tensor:
        """What is added for the number of events, `(B, J, D)`."""
        count = ops.sum(ops.cast(event_mask, "float32"), axis=-1, keepdims=True)  # (B, J, 1)
        return ops.cast(ops.log1p(count), self.compute_dtype) * self.count_kernel

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, behaviors, _, width = input_shape["events"]
        return (batch, behaviors, width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling": self.pooling}
