"""DEPHN's Field Interaction Layer (FI)."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.initializers import stacked_initializer
from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_axis, check_positive_int, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class FieldInteractionExpert(keras.layers.Layer):
    """Multiplies fields with mixtures of fields, coordinate by coordinate; many experts side by side.

    Layer i of an expert computes `V_{i+1} = V_0 * (Ω V_i) + ω * V_i`: Ω, `(F, F)`, mixes fields and never the
    coordinates of an embedding; ω has one number per field. It starts with Glorot kernels and ω = 1, so that on small
    embeddings the products are small and an expert starts near the identity.

    Shapes: B batch, N stacks (experts), S = 1 or N, F fields, D embedding width.

    Args:
        num_stacks: int. Number of experts N.
        num_layers: int. Number of layers. Defaults to `3`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, F, D)`: the fields for all experts, or those of each.

    Returns:
        float `(B, N, F, D)`.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs are not `(B, 1, F, D)` or `(B, N, F, D)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.FieldInteractionExpert(num_stacks=3)(keras.ops.ones((8, 1, 6, 4))).shape
    TensorShape([8, 3, 6, 4])

    Reference:
        Kong et al. 2023 (DEPHN), https://arxiv.org/abs/2307.12519, whose layer is that of PHN (CICAI 2022,
        fig. 3), after Zhao et al. 2021 (FINT), https://arxiv.org/abs/2107.01999. Initial values are our reading.
    """

    def __init__(self, num_stacks: int, num_layers: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_stacks", num_stacks)
        check_positive_int(owner, "num_layers", num_layers)
        self.num_stacks = num_stacks
        self.num_layers = num_layers

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, S, F, D")
        advice = "Give the fields for all experts, or those of each."
        check_axis(owner, "inputs", input_shape, 1, (1, self.num_stacks), advice)
        fields = input_shape[2]
        self.kernels = [
            self.add_weight(
                name=f"kernel_{layer}",
                shape=(self.num_stacks, fields, fields),
                initializer=stacked_initializer("glorot_uniform"),
            )
            for layer in range(self.num_layers)
        ]
        self.residual_scale = self.add_weight(
            name="residual_scale", shape=(self.num_layers, self.num_stacks, fields, 1), initializer="ones"
        )

    def call(self, inputs: Tensor) -> Tensor:
        _, streams, fields, width = inputs.shape
        # Coordinates are to Ω what examples are, so one product a stack does for all of both.
        first = ops.reshape(ops.transpose(inputs, (1, 2, 0, 3)), (streams, fields, -1))  # (S, F, B * D)
        hidden = first
        for layer, kernel in enumerate(self.kernels):
            hidden = first * ops.matmul(kernel, hidden) + self.residual_scale[layer] * hidden  # (N, F, B * D)
        outputs = ops.reshape(hidden, (self.num_stacks, fields, -1, width))
        return ops.transpose(outputs, (2, 0, 1, 3))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, _, fields, width = input_shape
        return (batch, self.num_stacks, fields, width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_stacks": self.num_stacks, "num_layers": self.num_layers}
