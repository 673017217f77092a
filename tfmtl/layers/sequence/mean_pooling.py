"""Mean pooling of behavior sequences."""

import keras

from tfmtl.core.masking import masked_mean
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.sequence._sequence_shapes import check_sequence_shapes


@keras.saving.register_keras_serializable(package="tfmtl")
class MeanPooling(keras.layers.Layer):
    """Averages the real events of every behavior sequence.

    Shapes: B batch, J behaviors, L sequence length, D embedding width.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"events"`, float `(B, J, L, D)`, and `"event_mask"`, bool `(B, J, L)`, true at real events.
            Other keys are ignored, so that every pooling takes the same dict.

    Returns:
        float `(B, J, D)`; zeros for an empty sequence.

    Raises:
        ValueError: At build, if a shape does not fit.

    Example:

    >>> import keras, tfmtl
    >>> events, mask = keras.ops.ones((8, 3, 5, 4)), keras.ops.ones((8, 3, 5), "bool")
    >>> tfmtl.layers.MeanPooling()({"events": events, "event_mask": mask}).shape
    TensorShape([8, 3, 4])
    """

    def build(self, input_shape: Shapes) -> None:
        check_sequence_shapes(type(self).__name__, input_shape, with_queries=False)

    def call(self, inputs: Tensors) -> Tensor:
        return masked_mean(inputs["events"], inputs["event_mask"])

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, behaviors, _, width = input_shape["events"]
        return (batch, behaviors, width)
