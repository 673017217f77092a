"""A trunk whose functions are periodic in some coordinates."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.operators.trunk.mlp_trunk import MLPTrunk
from tfmtl.schema.checks import check_count, check_positive_int, check_positive_number, error_text

if TYPE_CHECKING:
    from tfmtl.operators.operator_data import OperatorData


@keras.saving.register_keras_serializable(package="tfmtl")
class PeriodicTrunk(MLPTrunk):
    """An `MLPTrunk` that sees some coordinates x as sine and cosine of `2 pi k x / period`, k = 1..waves.

    Whatever it learns is exactly periodic, to rounding. With a period of twice the domain's length these are features
    that help with fine structure, and demand nothing of the border. The other coordinates are standardized.

    Shapes: R points of d coordinates, p functions.

    Args:
        axes: Sequence of ints. Which coordinates. Defaults to `(1,)`.
        periods: Sequence of floats. Their periods, in their units. Defaults to `(1.0,)`.
        waves: int. Number of waves of each. Defaults to `4`.
        latent_dim: int. Number of functions p. Defaults to `100`.
        hidden_units: Sequence of ints. Width of each hidden layer. Defaults to `(128, 128, 128)`.
        activation: Keras activation or its name, after every hidden layer. Defaults to `"gelu"`.
        output_activation: Keras activation or its name, after the last layer, or `None`. Defaults to `None`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(R, d)`.

    Returns:
        float `(R, p)`.

    Raises:
        ValueError: If a number is out of range, or at build if there is no such coordinate.
        TypeError: If a number is of another type.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.operators.PeriodicTrunk(axes=(1,), latent_dim=10, hidden_units=(16,))(keras.ops.ones((5, 2))).shape
    TensorShape([5, 10])

    Reference:
        Lu et al. 2022, https://arxiv.org/abs/2111.05512, section 3.2: periodic boundary conditions by the trunk.
    """

    def __init__(
        self,
        axes: Sequence[int] = (1,),
        periods: Sequence[float] = (1.0,),
        waves: int = 4,
        latent_dim: int = 100,
        hidden_units: Sequence[int] = (128, 128, 128),
        activation: Any = "gelu",
        output_activation: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, hidden_units, activation, output_activation, **kwargs)
        owner = type(self).__name__
        if not axes or len(axes) != len(periods) or len(set(axes)) < len(axes):
            rule = "name distinct coordinates, one for each period"
            raise ValueError(error_text(owner, "axes", rule, (axes, periods), "Use axes=(1,), periods=(1.0,)."))
        for axis, period in zip(axes, periods, strict=True):
            check_count(owner, "axes", axis, "Count coordinates from 0.")
            check_positive_number(owner, "periods", period)
        check_positive_int(owner, "waves", waves)
        self.axes = tuple(axes)
        self.periods = tuple(periods)
        self.waves = waves

    def build(self, input_shape: Shape) -> None:
        dim = input_shape[-1]
        if max(self.axes) >= dim:
            raise ValueError(error_text(type(self).__name__, "axes", f"be below {dim}", self.axes, "Count from 0."))
        self._others = [axis for axis in range(dim) if axis not in self.axes]
        self._build_on(len(self._others), len(self._others) + 2 * self.waves * len(self.axes))

    def adapt(self, data: "OperatorData") -> None:
        """Takes the statistics of the training points' other coordinates."""
        self.standardize.adapt(data.points[:, self._others])

    def call(self, inputs: Tensor) -> Tensor:
        exact = ops.cast(inputs, "float32")
        numbers = np.arange(1, self.waves + 1, dtype=np.float32)
        angles = [
            exact[:, axis, None] * (numbers * np.float32(2.0 * math.pi / period))  # (R, waves)
            for axis, period in zip(self.axes, self.periods, strict=True)
        ]
        others = self.standardize(ops.take(exact, np.array(self._others, np.int32), axis=1))
        waves = ops.concatenate([wave(angle) for angle in angles for wave in (ops.sin, ops.cos)], axis=-1)
        return self._functions(ops.concatenate([others, ops.cast(waves, others.dtype)], axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": list(self.axes), "periods": list(self.periods), "waves": self.waves}
