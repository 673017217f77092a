"""The factorization machine's pairwise products."""

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class FactorizationMachine(keras.layers.Layer):
    """Sums the inner products of all pairs of fields: `sum_(i<j) <e_i, e_j>`, without weights.

    Computed as `1/2 sum_d [(sum_i e_i)^2 - sum_i e_i^2]`, whose cost grows with F and not with its square.

    Shapes: B batch, F fields, D embedding width.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, F, D)`.

    Returns:
        float `(B, 1)`; zero for a single field.

    Raises:
        ValueError: At build, if the inputs have another shape.

    Example:

    >>> import keras, tfmtl
    >>> float(tfmtl.layers.FactorizationMachine()(keras.ops.ones((1, 3, 4)))[0, 0])  # 3 pairs, each product 4
    12.0

    Reference:
        Rendle 2010, https://doi.org/10.1109/ICDM.2010.127, lemma 3.1, the second-order part with the embeddings as
        factors.
    """

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, F, D")

    def call(self, inputs: Tensor) -> Tensor:
        # In float32, because a difference of two nearly equal squares is mostly rounding error in bfloat16.
        fields = ops.cast(inputs, "float32")
        twice = ops.square(ops.sum(fields, axis=1)) - ops.sum(ops.square(fields), axis=1)  # (B, D)
        return ops.cast(0.5 * ops.sum(twice, axis=-1, keepdims=True), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], 1)
