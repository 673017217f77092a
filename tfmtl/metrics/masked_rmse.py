"""Root mean squared error of one task, for training."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class MaskedRMSE(keras.metrics.Metric):
    """Root mean squared error over the rows that have a label; `rmse` is its exact counterpart for stored predictions.

    The state is two sums, so replicas merge by addition. Without a label the result is 0.

    Shapes: B batch.

    Args:
        name: str. Defaults to `"rmse"`.
        dtype: Passed to `keras.metrics.Metric`. Defaults to `None`.

    Raises:
        ValueError: on update, labels or predictions are not `(B,)`.
    """

    def __init__(self, name: str = "rmse", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "down"  # what EarlyStopping(mode="auto") reads
        self.squares = self.add_variable((), "zeros", dtype="float64", name="squares")
        self.count = self.add_variable((), "zeros", dtype="float64", name="count")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Adds a batch: labels `(B,)`, NaN where missing, and predictions `(B,)`; weights `(B,)` or `None`."""
        labels, predictions = ops.cast(y_true, "float64"), ops.cast(y_pred, "float64")
        for argument, values in (("y_true", labels), ("y_pred", predictions)):
            if len(values.shape) != 1:  # (B,) against (B, 1) would broadcast to (B, B) silently
                advice = "Use one metric for each task."
                raise ValueError(error_text("MaskedRMSE", f"{argument}.shape", "be (B,)", tuple(values.shape), advice))
        present = ops.logical_not(ops.isnan(labels))
        weights = ops.cast(present, "float64")
        if sample_weight is not None:
            weights = weights * ops.cast(sample_weight, "float64")
        errors = ops.where(present, labels - predictions, 0.0)
        self.squares.assign_add(ops.sum(weights * errors * errors))
        self.count.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        """Returns the error as a scalar."""
        mean = ops.divide_no_nan(ops.convert_to_tensor(self.squares), ops.convert_to_tensor(self.count))
        return ops.cast(ops.sqrt(mean), self.dtype)
