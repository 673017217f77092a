"""Squeeze-and-excitation over a set of vectors."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_bool, check_one_of, check_positive_int, check_shape

_GATES = {"sigmoid": ops.sigmoid, "relu": ops.relu}


def check_reduction(owner: str, reduction: int) -> None:
    """Raises unless `SqueezeExcitation` takes the reduction; layers that hold one check theirs by it."""
    check_positive_int(owner, "reduction", reduction, "Use 1 for a bottleneck as wide as what it weighs.")


@keras.saving.register_keras_serializable(package="tfmtl")
class SqueezeExcitation(keras.layers.Layer):
    """Switches vectors, or their channels, on or off for each example: `s * X` with `s = gate(W_2 relu(W_1 q))`.

    Over fields, q is the mean of each vector over D, and every vector gets one weight; over channels, q is the mean
    of the vectors, and every channel gets one. Weights over fields belong to positions, so a layer over fields has
    to see them in one order; over channels their order does not matter. SENet is
    `SqueezeExcitation(reduction=3, gate="relu", use_bias=False)`.

    Shapes: B batch, M vectors, D width.

    Args:
        reduction: int. The hidden width is `max(1, n // reduction)` for n weights, n = M or D. Defaults to `2`.
        gate: str. `"sigmoid"`, weights between 0 and 1, or `"relu"`, which can remove a vector. Defaults to
            `"sigmoid"`.
        axis: str. What gets the weights: `"field"` for the M vectors, `"channel"` for the D channels. Defaults to
            `"field"`.
        use_bias: bool. Whether both layers add a bias. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, M, D)`.

    Returns:
        float `(B, M, D)`.

    Raises:
        ValueError: If `reduction` is not positive, a choice unknown, or at build if the inputs have another shape.
        TypeError: If `reduction` is not an int or `use_bias` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.SqueezeExcitation(reduction=2)(keras.ops.ones((8, 6, 4))).shape
    TensorShape([8, 6, 4])

    Reference:
        Hu et al. 2018, https://arxiv.org/abs/1709.01507, eq. 2-4; as SENet, Huang et al. 2019 (FiBiNET),
        https://arxiv.org/abs/1905.09433, section 3.2.
    """

    def __init__(
        self,
        reduction: int = 2,
        gate: str = "sigmoid",
        axis: str = "field",
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_reduction(owner, reduction)
        check_one_of(owner, "gate", gate, tuple(_GATES))
        check_one_of(owner, "axis", axis, ("field", "channel"))
        check_bool(owner, "use_bias", use_bias)
        self.reduction = reduction
        self.gate = gate
        self.axis = axis
        self.use_bias = use_bias

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, M, D")
        batch, size, width = input_shape
        count = size if self.axis == "field" else width
        bottleneck = max(1, count // self.reduction)
        self.reduce = keras.layers.Dense(bottleneck, "relu", use_bias=self.use_bias, dtype=self.dtype_policy)
        self.reduce.build((batch, count))
        self.excite = keras.layers.Dense(count, use_bias=self.use_bias, dtype=self.dtype_policy)
        self.excite.build((batch, bottleneck))

    def call(self, inputs: Tensor) -> Tensor:
        weights = self.gate_weights(inputs)
        return inputs * (weights[..., None] if self.axis == "field" else weights[:, None])

    def gate_weights(self, inputs: Tensor) -> Tensor:
        """Returns the weight of every vector, float `(B, M)`, or of every channel, `(B, D)`."""
        squeezed = ops.mean(inputs, axis=2 if self.axis == "field" else 1)
        logits = ops.cast(self.excite(self.reduce(squeezed)), "float32")
        return ops.cast(_GATES[self.gate](logits), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "gate": self.gate,
            "axis": self.axis,
            "use_bias": self.use_bias,
        }
