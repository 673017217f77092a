"""Many dense layers side by side, computed as one product."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.initializers import stacked_initializer
from tfmtl.core.types import Shape, Tensor
from tfmtl.layers.dense.given_products import given_product
from tfmtl.schema.checks import check_axis, check_bool, check_positive_int, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class StackedDense(keras.layers.Layer):
    """Applies N dense layers at once: one per task, expert or tower.

    Stack n computes `activation(x_n K_n + b_n)`, as N separate `keras.layers.Dense` would, without a loop. All
    stacks read the same input (S = 1, computed as one matrix product `(in, N * out)`) or each its own (S = N).

    Shapes: B batch, N stacks, S = 1 or N, in and out widths.

    Args:
        num_stacks: int. Number of layers N.
        units: int. Width of each layer's output.
        activation: Keras activation, its name, or `None` for none. Defaults to `None`.
        use_bias: bool. Whether each layer adds a bias. Defaults to `True`.
        kernel_initializer: Keras initializer or its name, with the fans of one kernel; see `stacked_initializer`.
            No two stacks start with the same kernel. Defaults to `"glorot_uniform"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(B, S, in)`.

    Returns:
        float `(B, N, units)`.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs are not `(B, 1, in)` or `(B, N, in)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.StackedDense(num_stacks=3, units=4)(keras.ops.ones((8, 1, 5))).shape
    TensorShape([8, 3, 4])
    """

    def __init__(
        self,
        num_stacks: int,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_stacks", num_stacks)
        check_positive_int(owner, "units", units)
        check_bool(owner, "use_bias", use_bias)
        self.num_stacks = num_stacks
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = stacked_initializer(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "inputs", input_shape, "B, S, in")
        advice = "Give one input for all stacks, or one for each."
        check_axis(owner, "inputs", input_shape, 1, (1, self.num_stacks), advice)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_stacks, input_shape[-1], self.units),
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.num_stacks, self.units), initializer="zeros")

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.shape[1] == 1:
            kernel, given = self.joined_kernel(), given_product(self)
            flat = ops.reshape(inputs, (-1, inputs.shape[-1]))  # a slice would have a gradient to compute
            product = ops.matmul(flat, kernel) if given is None else given.complete(flat, kernel)
            outputs = ops.reshape(product, (-1, self.num_stacks, self.units))  # (B, N, units)
        else:
            # An einsum says the same, but its gradient takes a quarter to two thirds more time on a CPU without XLA.
            by_stack = ops.transpose(inputs, (1, 0, 2))  # (N, B, in)
            outputs = ops.transpose(ops.matmul(by_stack, self.kernel), (1, 0, 2))  # (B, N, units)
        if self.bias is not None:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def joined_kernel(self) -> Tensor:
        """The stacks' kernels side by side, `(in, N * units)`."""
        return ops.reshape(ops.transpose(self.kernel, (1, 0, 2)), (-1, self.num_stacks * self.units))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.num_stacks, self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_stacks": self.num_stacks,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
