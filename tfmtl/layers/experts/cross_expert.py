"""DEPHN's Cross Interaction Layer (CL)."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.initializers import stacked_initializer
from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_axis, check_one_of, check_positive_int, check_shape

_RESIDUALS = ("none", "plain", "trainable")


@keras.saving.register_keras_serializable(package="tfmtl")
class CrossExpert(keras.layers.Layer):
    """Crosses all coordinates of its input, explicitly and to a bounded degree; many experts side by side.

    Layer i of an expert computes `x_{i+1} = x_0 * (Ω x_i) + x_0 (ω^T x_i) + b` and adds a residual. After n layers
    the degree is at most n + 1. It starts with Glorot kernels, b = 0 and u = 1, so that on small embeddings the
    products are small and, with a residual, an expert starts near the identity.

    Shapes: B batch, N stacks (experts), S = 1 or N, H width.

    Args:
        num_stacks: int. Number of experts N.
        num_layers: int. Number of layers. Defaults to `3`.
        residual: str. What a layer adds: `"none"`, `"plain"`, x_i, or `"trainable"`, u * x_i with a vector u of the
            layer's own. Defaults to `"trainable"`.
        rank: int or None. Rank of Ω, which is then a product `U V`; `None` for a full matrix. Defaults to `None`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, H)`: one input for all experts, or one for each.

    Returns:
        float `(B, N, H)`.

    Raises:
        ValueError: If a size is not positive, `residual` is unknown, or at build if the inputs are not `(B, 1, H)` or
            `(B, N, H)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.CrossExpert(num_stacks=3)(keras.ops.ones((8, 1, 5))).shape
    TensorShape([8, 3, 5])

    Reference:
        Kong et al. 2023 (DEPHN), https://arxiv.org/abs/2307.12519, whose layer is that of PHN (CICAI 2022,
        fig. 2). The low rank is that of Wang et al. 2021 (DCN-V2), https://arxiv.org/abs/2008.13535; initial values
        are our reading.
    """

    def __init__(
        self,
        num_stacks: int,
        num_layers: int = 3,
        residual: str = "trainable",
        rank: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_stacks", num_stacks)
        check_positive_int(owner, "num_layers", num_layers)
        check_one_of(owner, "residual", residual, _RESIDUALS)
        if rank is not None:
            check_positive_int(owner, "rank", rank, "Use 1 or more, or None for a full matrix.")
        self.num_stacks = num_stacks
        self.num_layers = num_layers
        self.residual = residual
        self.rank = rank

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, S, H")
        advice = "Give one input for all experts, or one for each."
        check_axis(owner, "inputs", input_shape, 1, (1, self.num_stacks), advice)
        width = input_shape[-1]
        factors = [(width, width)] if self.rank is None else [(width, self.rank), (self.rank, width)]
        # Of each layer: the factors of Ω, whose product stands to the right of a row vector.
        self.kernels = [
            [self._kernel(f"kernel_{layer}_{index}", shape) for index, shape in enumerate(factors)]
            for layer in range(self.num_layers)
        ]
        self.vectors = [self._kernel(f"vector_kernel_{layer}", (width, 1)) for layer in range(self.num_layers)]
        shape = (self.num_layers, self.num_stacks, 1, width)
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")
        if self.residual == "trainable":
            self.residual_scale = self.add_weight(name="residual_scale", shape=shape, initializer="ones")

    def _kernel(self, name: str, shape: Shape) -> Any:
        return self.add_weight(
            name=name, shape=(self.num_stacks, *shape), initializer=stacked_initializer("glorot_uniform")
        )

    def call(self, inputs: Tensor) -> Tensor:
        # The stacks lead throughout, as batched products want them; only the ends are transposed.
        first = ops.transpose(inputs, (1, 0, 2))  # (S, B, H)
        hidden = first
        for layer in range(self.num_layers):
            mixed = hidden
            for kernel in self.kernels[layer]:
                mixed = ops.matmul(mixed, kernel)  # (N, B, H), or the rank
            crossed = first * (mixed + ops.matmul(hidden, self.vectors[layer])) + self.bias[layer]
            hidden = self._add_residual(crossed, hidden, layer)
        return ops.transpose(hidden, (1, 0, 2))

    def _add_residual(self, crossed: Tensor, hidden: Tensor, layer: int) -> Tensor:
        if self.residual == "none":
            return crossed
        if self.residual == "plain":
            return crossed + hidden
        return crossed + self.residual_scale[layer] * hidden

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_stacks, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_stacks": self.num_stacks,
            "num_layers": self.num_layers,
            "residual": self.residual,
            "rank": self.rank,
        }
