"""Position embeddings of events, counted from the most recent one."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence._sequence_shapes import check_sequence_shapes
from tfmtl.layers.sequence.event_rows import EventRows
from tfmtl.schema.checks import check_bool


@keras.saving.register_keras_serializable(package="tfmtl")
class EventPositions(keras.layers.Layer):
    """Adds a learned vector for how many events came later, and zeroes the padding.

    Positions count from the most recent event, which has 0 however long the history is; all behaviors share them.

    Shapes: B batch, J behaviors, L sequence length, D embedding width.

    Args:
        use_positions: bool. Whether vectors are added; if not, only the padding is zeroed. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, oldest first and padded at the end, and `"event_mask"`, bool
            `(B, J, L)`, true at real events.

    Returns:
        float `(B, J, L, D)`; zeros at padded positions.

    Raises:
        ValueError: At build, if a shape does not fit.
        TypeError: If `use_positions` is not a bool.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> tfmtl.layers.EventPositions()({"events": events, "event_mask": mask}).shape
    TensorShape([8, 3, 5, 4])
    """

    def __init__(self, use_positions: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_bool(type(self).__name__, "use_positions", use_positions)
        self.use_positions = use_positions

    def build(self, input_shape: Shapes) -> None:
        check_sequence_shapes(type(self).__name__, input_shape, with_queries=False)
        if self.use_positions:
            self.position_embeddings = self.add_weight(
                name="position_embeddings",
                shape=tuple(input_shape["events"])[2:],
                initializer=keras.initializers.RandomNormal(stddev=0.02),
            )

    def call(self, inputs: Tensors) -> Tensor:
        events, mask = inputs["events"], inputs["event_mask"]
        if self.use_positions:
            real = ops.cast(mask, "int32")
            later = ops.sum(real, axis=-1, keepdims=True) - ops.cumsum(real, axis=-1)  # (B, J, L)
            events = events + ops.take(self.position_embeddings, later, axis=0)
        # Zeroed, so that not even a NaN in the padding gets into the products.
        return ops.where(mask[..., None], events, 0.0)

    def on_rows(self, inputs: Tensors, rows: EventRows) -> Tensor:
        """The same for real events alone, as rows: float `(R, D)`."""
        events = rows.pack(tf.cast(inputs["events"], self.compute_dtype))
        if self.use_positions:
            table = tf.cast(tf.convert_to_tensor(self.position_embeddings), self.compute_dtype)
            events = events + rows.positions(table)
        return events

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return tuple(input_shape["events"])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_positions": self.use_positions}
