"""DEPHN's gates: trained values whose gradient is scaled by how the tasks' labels correlate."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.gates._scaling_functions import SCALING_FUNCTIONS
from tfmtl.schema.checks import check_axis, check_one_of, check_positive_int, check_shape


def check_scaling_function(owner: str, function: str | None) -> None:
    """Raises unless `function` is None or names a scaling function; layers that hold a gate check theirs by it."""
    if function is not None:
        check_one_of(owner, "function", function, tuple(SCALING_FUNCTIONS))


@keras.saving.register_keras_serializable(package="tfmtl")
class VirtualGradientGate(keras.layers.Layer):
    """Holds the gate of every task on every view of every expert, and scales what the gates learn.

    The gates G are trained values, the same for all examples. Their value is never changed; their gradient is
    multiplied by `Γ_t = prod_{j != t} γ(x_tj, min(1, |G_t - G_j|))`, where x_tj, from 0 to 1, tells how the labels of
    tasks t and j correlate. So with the additive functions related tasks whose gates differ, and unrelated ones whose
    gates agree, learn faster; the others hardly. No gradient flows through Γ. With one task Γ is 1.

    The gates start at `1 / (K P)` with normal noise of a tenth of that, because between equal gates there is no
    difference to see.

    Shapes: T tasks, K experts, P mappings (views of an expert's output).

    Args:
        num_tasks: int. Number of tasks T.
        num_experts: int. Number of experts K.
        num_mappings: int. Number of mappings P.
        function: str or None. γ of correlation x and distance y: `"multiplicative_cosine"`, `cos(2 π x y) + 1`,
            `"multiplicative_absolute"`, `2 |2 x y - 1|`, `"multiplicative_square"`, `2 (2 x y - 1)^2`,
            `"multiplicative_root"`, `2 sqrt|2 x y - 1|`, or, with `x + y - 1` in place of `2 x y - 1`,
            `"additive_absolute"`, `"additive_square"`, `"additive_root"`, and `"additive_cosine"`,
            `cos(π (x + y)) + 1`. `None` leaves the gradient as it is. Defaults to `"additive_root"`.
        mode: str. `"exact"` for the gradient above. `"ratio"` multiplies the gates by `Γ / sg(Γ)`, where sg stops the
            gradient: then the gradient's factor is `1 + G dlnΓ/dG`, and a task's loss moves other tasks' gates too.
            Defaults to `"exact"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"label_correlation"`, float `(T, T)`, from 0 to 1, symmetric; its diagonal is not read.
            Without it, as in an empty dict, the gradient is the plain one.

    Returns:
        float `(T, K, P)`: the gates, the same bits with and without the correlation.

    Raises:
        ValueError: If a size is not positive, a choice unknown, or the correlation is not `(T, T)`.
        TypeError: If a size is not an int.

    Example:

    >>> import keras, tfmtl
    >>> gate = tfmtl.layers.VirtualGradientGate(num_tasks=2, num_experts=3, num_mappings=2)
    >>> gate({"label_correlation": keras.ops.ones((2, 2))}).shape
    TensorShape([2, 3, 2])

    Reference:
        Kong et al. 2023 (DEPHN), https://arxiv.org/abs/2307.12519, eq. 7-9 and fig. 4. The absolute value under the
        roots, the initial values and `"exact"`, which is eq. 8 itself, are our reading; the paper's sketch, to multiply
        by γ and divide by its frozen value, is `"ratio"`, and is not eq. 8.
    """

    def __init__(
        self,
        num_tasks: int,
        num_experts: int,
        num_mappings: int,
        function: str | None = "additive_root",
        mode: str = "exact",
        **kwargs: Any,
    ) -> None:
        # Without autocast: a correlation rounded to bfloat16 would scale gradients wrongly.
        super().__init__(autocast=False, **kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_tasks", num_tasks)
        check_positive_int(owner, "num_experts", num_experts)
        check_positive_int(owner, "num_mappings", num_mappings)
        check_scaling_function(owner, function)
        check_one_of(owner, "mode", mode, ("exact", "ratio"))
        self.num_tasks = num_tasks
        self.num_experts = num_experts
        self.num_mappings = num_mappings
        self.function = function
        self.mode = mode

    def build(self, input_shape: Shapes) -> None:
        if input_shape and "label_correlation" in input_shape:
            self._check_correlation(input_shape["label_correlation"])
        mean = 1.0 / (self.num_experts * self.num_mappings)
        self.gates = self.add_weight(
            name="gates",
            shape=(self.num_tasks, self.num_experts, self.num_mappings),
            initializer=keras.initializers.RandomNormal(mean, 0.1 * mean),
            autocast=False,
        )

    def _check_correlation(self, shape: Shape) -> None:
        owner = type(self).__name__
        check_shape(owner, "label_correlation", shape, "T, T")
        for axis in (0, 1):
            check_axis(owner, "label_correlation", shape, axis, (self.num_tasks,), "Correlate the labels of all tasks.")

    def call(self, inputs: Tensors) -> Tensor:
        gates = ops.convert_to_tensor(self.gates)
        if self.function is not None and "label_correlation" in inputs:
            correlation = inputs["label_correlation"]
            if self.mode == "exact":
                frozen = ops.stop_gradient(gates)
                # What is added is zero, to the bit; only its gradient is not.
                gates = frozen + self.scaling(correlation) * (gates - frozen)
            else:
                gates = gates * self._ratio(self._factors(gates, correlation))
        return ops.cast(gates, self.compute_dtype)

    def scaling(self, label_correlation: Tensor) -> Tensor:
        """Returns Γ, by which the gates' gradient is multiplied, `(T, K, P)`; ones if `function` is None."""
        gates = ops.stop_gradient(ops.convert_to_tensor(self.gates))
        if self.function is None:
            return ops.ones_like(gates)
        return ops.stop_gradient(ops.prod(self._factors(gates, label_correlation), axis=1))

    def _factors(self, gates: Tensor, label_correlation: Tensor) -> Tensor:
        """Returns γ of every pair of tasks, and 1 where a task meets itself, `(T, T, K, P)`."""
        correlation = ops.cast(ops.convert_to_tensor(label_correlation), gates.dtype)
        self._check_correlation(tuple(correlation.shape))
        distance = ops.minimum(ops.abs(gates[:, None] - gates[None]), 1.0)
        factors = SCALING_FUNCTIONS[str(self.function)](correlation[:, :, None, None], distance)
        itself = ops.eye(self.num_tasks, dtype="bool")[:, :, None, None]
        return ops.where(itself, 1.0, factors)

    def _ratio(self, factors: Tensor) -> Tensor:
        """Returns `Γ / sg(Γ)`, pair by pair so that small factors cannot vanish; one of exactly zero does not count."""
        frozen = ops.stop_gradient(factors)
        counts = frozen > 0.0
        return ops.prod(ops.where(counts, factors / ops.where(counts, frozen, 1.0), 1.0), axis=1)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return (self.num_tasks, self.num_experts, self.num_mappings)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_experts": self.num_experts,
            "num_mappings": self.num_mappings,
            "function": self.function,
            "mode": self.mode,
        }
