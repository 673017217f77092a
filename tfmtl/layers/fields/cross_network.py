"""DCN-V2's cross network."""

from typing import Any

import keras

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_number, check_positive_int, check_shape, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class CrossNetwork(keras.layers.Layer):
    """Multiplies a vector by linear maps of itself: `x_(l+1) = x_0 * (W_l x_l + b_l + diag_scale x_l) + x_l`.

    After l layers every coordinate is a polynomial of degree l + 1 at most in the inputs. With weights of zero and
    `diag_scale=0` it is the identity.

    Shapes: B batch, H width.

    Args:
        num_layers: int. Number of layers. Defaults to `2`.
        rank: int or None. Rank of every W, the product of a matrix (H, rank) and one (rank, H); a quarter of H is a
            usual choice. With `None` W is a full matrix. Defaults to `None`.
        diag_scale: float, 0 or more. What is added to the diagonal of every W. Defaults to `0.0`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, H)`.

    Returns:
        float `(B, H)`.

    Raises:
        ValueError: If a size is not positive, `diag_scale` is negative, or at build if the inputs have another shape.
        TypeError: If a size is not an int or `diag_scale` not a number.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.CrossNetwork(num_layers=2)(keras.ops.ones((8, 6))).shape
    TensorShape([8, 6])

    Reference:
        Wang et al. 2021 (DCN-V2), https://arxiv.org/abs/2008.13535, the cross layer and its low-rank form.
        `diag_scale` is that of TensorFlow Recommenders.
    """

    def __init__(self, num_layers: int = 2, rank: int | None = None, diag_scale: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_layers", num_layers)
        if rank is not None:
            check_positive_int(owner, "rank", rank, "Use 1 or more, or None for a full matrix.")
        check_number(owner, "diag_scale", diag_scale)
        if diag_scale < 0:
            raise ValueError(error_text(owner, "diag_scale", "be 0 or more", diag_scale, "Use 0 for none."))
        self.num_layers = num_layers
        self.rank = rank
        self.diag_scale = diag_scale

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "B, H")
        batch, width = input_shape
        self.projections = []
        self.crosses = []
        for _ in range(self.num_layers):
            if self.rank is not None:
                projection = keras.layers.Dense(self.rank, use_bias=False, dtype=self.dtype_policy)
                projection.build((batch, width))
                self.projections.append(projection)
            cross = keras.layers.Dense(width, dtype=self.dtype_policy)
            cross.build((batch, self.rank or width))
            self.crosses.append(cross)

    def call(self, inputs: Tensor) -> Tensor:
        crossed = inputs
        for layer, cross in enumerate(self.crosses):
            projected = crossed if self.rank is None else self.projections[layer](crossed)
            factor = cross(projected)
            if self.diag_scale:
                factor = factor + self.diag_scale * crossed
            crossed = inputs * factor + crossed
        return crossed

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "rank": self.rank,
            "diag_scale": self.diag_scale,
        }
