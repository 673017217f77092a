"""The head of a binary task."""

import math
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.heads._linear_output import build_output
from tfmtl.schema.checks import check_probability


@keras.saving.register_keras_serializable(package="tfmtl")
class BinaryHead(keras.layers.Layer):
    """Computes one logit from a task's representation.

    The bias starts at `log(prior / (1 - prior))`: with rare positives the first thousands of steps would otherwise
    go into learning the base rate.

    Shapes: B batch, H width.

    Args:
        prior: float in (0, 1). Share of positive labels. Defaults to `0.5`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float32 `(B,)`, logits, also under mixed precision.

    Raises:
        ValueError: If `prior` is not strictly between 0 and 1, or at build if the inputs are not `(B, H)`.
        TypeError: If `prior` is not a number.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.BinaryHead(prior=0.1)(keras.ops.ones((8, 4))).shape
    TensorShape([8])
    """

    def __init__(self, prior: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_probability(type(self).__name__, "prior", prior)
        self.prior = prior

    def build(self, input_shape: Shape) -> None:
        base_rate = keras.initializers.Constant(math.log(self.prior / (1.0 - self.prior)))
        self.logit = build_output(self, input_shape, 1, base_rate)

    def call(self, inputs: Tensor) -> Tensor:
        return self.logit(inputs)[:, 0]

    def predictions(self, logits: Tensor) -> Tensor:
        """Turns logits into the probabilities of the positive outcome, elementwise."""
        return ops.sigmoid(logits)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0],)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prior": self.prior}
