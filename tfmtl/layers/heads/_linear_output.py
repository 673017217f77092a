"""The linear output that heads have in common."""

import keras

from tfmtl.core.types import Shape
from tfmtl.schema.checks import check_shape


def build_output(
    layer: keras.layers.Layer, input_shape: Shape, units: int, bias_initializer: keras.initializers.Initializer
) -> keras.layers.Dense:
    """Makes and builds a dense layer `(B, H) -> (B, units)` in the type of the variables, also under mixed precision.

    A loss is computed from these numbers, and in bfloat16 they would have three significant digits.
    """
    check_shape(type(layer).__name__, "inputs", input_shape, "B, H")
    dense = keras.layers.Dense(units, bias_initializer=bias_initializer, dtype=layer.variable_dtype)
    dense.build(input_shape)
    return dense
