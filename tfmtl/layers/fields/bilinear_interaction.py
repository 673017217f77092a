"""FiBiNET's bilinear products of pairs of fields."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.schema.checks import check_one_of, check_shape, error_text

_KINDS = ("all", "each", "interaction")


@keras.saving.register_keras_serializable(package="tfmtl")
class BilinearInteraction(keras.layers.Layer):
    """Multiplies every pair of fields, one of the two through a matrix: `p_ij = (v_i W) * v_j` for i < j.

    The pairs stand in the order (0, 1), (0, 2), ..., (1, 2), ...

    Shapes: B batch, F fields, D embedding width.

    Args:
        kind: str. Which pairs share a matrix: `"all"`, `"each"` (those with the same first field: F - 1 matrices), or
            `"interaction"` (none: a matrix for every pair). Defaults to `"interaction"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, F, D)`, of two fields or more.

    Returns:
        float `(B, F * (F - 1) / 2, D)`.

    Raises:
        ValueError: If `kind` is unknown, or at build if the inputs have another shape or a single field.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.BilinearInteraction()(keras.ops.ones((8, 4, 5))).shape
    TensorShape([8, 6, 5])

    Reference:
        Huang et al. 2019 (FiBiNET), https://arxiv.org/abs/1905.09433, the bilinear-interaction layer.
    """

    def __init__(self, kind: str = "interaction", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_one_of(type(self).__name__, "kind", kind, _KINDS)
        self.kind = kind

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, F, D")
        batch, fields, width = input_shape
        if fields < 2:
            advice = "Give at least two fields, or use no interaction."
            rule = "have size 2 or more on axis 1"
            raise ValueError(error_text(owner, "inputs.shape", rule, tuple(input_shape), advice))
        self.first, self.second = np.triu_indices(fields, 1)
        if self.kind == "all":
            self.matrix = keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy)
            self.matrix.build(input_shape)
        else:
            count = fields - 1 if self.kind == "each" else len(self.first)
            self.matrix = StackedDense(count, width, use_bias=False, dtype=self.dtype_policy)
            self.matrix.build((batch, count, width))

    def call(self, inputs: Tensor) -> Tensor:
        return self._first_of_pairs(inputs) * ops.take(inputs, self.second, axis=1)

    def _first_of_pairs(self, inputs: Tensor) -> Tensor:
        """Returns `v_i W` for every pair (i, j)."""
        if self.kind == "interaction":
            return self.matrix(ops.take(inputs, self.first, axis=1))
        # The last field is first in no pair.
        return ops.take(self.matrix(inputs[:, :-1]), self.first, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, fields, width = input_shape
        return (batch, fields * (fields - 1) // 2, width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}
