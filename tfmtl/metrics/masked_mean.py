"""The running mean of a value per row."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_one_of


@keras.saving.register_keras_serializable(package="tfmtl")
class MaskedMean(keras.metrics.Metric):
    """The mean of a number per row over the rows that count, such as an error or whether the answer was right.

    The state is two sums, so replicas merge by addition. Without a row the result is 0.

    Shapes: B batch.

    Args:
        direction: str. `"up"` or `"down"`: which way it is better. Defaults to `"down"`.
        name: str. Defaults to `"mean"`.
        dtype: Passed to `keras.metrics.Metric`. Defaults to `None`.

    Raises:
        ValueError: the direction is unknown.
    """

    def __init__(self, direction: str = "down", name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        check_one_of("MaskedMean", "direction", direction, ("up", "down"))
        self._direction = direction  # what EarlyStopping(mode="auto") reads
        self.total = self.add_variable((), "zeros", dtype="float64", name="total")
        self.count = self.add_variable((), "zeros", dtype="float64", name="count")

    def update_state(self, present: Tensor, values: Tensor, sample_weight: Tensor | None = None) -> None:
        """Adds a batch: which rows count, bool `(B,)`, and their values `(B,)`; weights `(B,)` or `None`."""
        weights = ops.cast(present, "float64")
        if sample_weight is not None:
            weights = ops.where(present, ops.cast(sample_weight, "float64"), 0.0)
        self.total.assign_add(ops.sum(weights * ops.where(present, ops.cast(values, "float64"), 0.0)))
        self.count.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        """Returns the mean as a scalar."""
        mean = ops.divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))
        return ops.cast(mean, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "direction": self._direction}
