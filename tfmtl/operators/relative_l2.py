"""The relative L2 error of a predicted field: loss, metric and exact errors."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import error_text

_TINY = 1e-12  # of a squared norm: below it a field is zero


@keras.saving.register_keras_serializable(package="tfmtl")
class RelativeL2Loss(keras.losses.Loss):
    """`||prediction - truth|| / ||truth||` of every sample, over all its points and outputs; the mean over the batch.

    Where truth and prediction are both 0, as outside of a mask, a point adds nothing. Of a sample that is 0 everywhere
    the error is the norm of the prediction times 10^6.

    Shapes: B batch, Q points, C outputs.

    Args:
        name: str. Defaults to `"relative_l2"`.
        **kwargs: Passed to `keras.losses.Loss` (`reduction`, `dtype`).

    Call arguments:
        y_true: float `(B, Q)` or `(B, Q, C)`.
        y_pred: float, the same shape.

    Example:

    >>> round(float(RelativeL2Loss()([[3.0, 4.0]], [[3.0, 3.0]])), 4)
    0.2
    """

    def __init__(self, name: str = "relative_l2", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return _errors(ops.cast(y_true, "float32"), ops.cast(y_pred, "float32"))


@keras.saving.register_keras_serializable(package="tfmtl")
class RelativeL2(keras.metrics.Mean):
    """The mean of the samples' relative L2 errors, norms taken in float64.

    float32 norms of thousands of points would be off in the fourth digit of a small error.

    Args:
        name: str. Defaults to `"relative_l2"`.
        dtype: Passed to `keras.metrics.Mean`. Defaults to `None`.
    """

    def __init__(self, name: str = "relative_l2", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._direction = "down"  # what EarlyStopping(mode="auto") reads

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Adds a batch, shapes as `RelativeL2Loss` takes them; weights `(B,)` or `None`."""
        errors = _errors(ops.cast(y_true, "float64"), ops.cast(y_pred, "float64"))
        super().update_state(errors, sample_weight=sample_weight)


def _errors(truth: Tensor, prediction: Tensor) -> Tensor:
    """`(B, ...)` twice -> `(B,)`."""
    axes = tuple(range(1, len(truth.shape)))
    gap = ops.sum(ops.square(prediction - truth), axis=axes)
    size = ops.sum(ops.square(truth), axis=axes)
    # The square root has no slope at 0.
    return ops.sqrt(ops.maximum(gap, 1e-20) / ops.maximum(size, _TINY))


def relative_l2_errors(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> npt.NDArray[np.float64]:
    """The relative L2 error of every sample, in float64.

    Shapes: N samples, Q points, C outputs.

    Args:
        truth: float `(N, Q)` or `(N, Q, C)`.
        prediction: float, the same shape.
        mask: bool `(N, Q)` or None. The points that count. Defaults to `None`, all.

    Returns:
        float64 `(N,)`; NaN for a sample whose truth is 0 wherever it counts.

    Raises:
        ValueError: shapes differ.

    Example:

    >>> relative_l2_errors([[3.0, 4.0]], [[3.0, 3.0]]).tolist()
    [0.2]
    """
    gap, size = _squared_norms(truth, prediction, mask)
    return np.sqrt(np.divide(gap, size, out=np.full_like(gap, np.nan), where=size > 0.0))


def frobenius_error(truth: npt.ArrayLike, prediction: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> float:
    """`||prediction - truth|| / ||truth||` over all samples together; samples of small size hardly count.

    Args:
        truth: float `(N, Q)` or `(N, Q, C)`.
        prediction: float, the same shape.
        mask: bool `(N, Q)` or None. The points that count. Defaults to `None`, all.

    Raises:
        ValueError: shapes differ.
    """
    gap, size = _squared_norms(truth, prediction, mask)
    return float(np.sqrt(gap.sum() / size.sum()))


def _squared_norms(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, mask: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    true, predicted = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if true.shape != predicted.shape:
        advice = "Predict at the points of the truth."
        rule = f"have the shape of the truth, {true.shape}"
        raise ValueError(error_text("relative_l2_errors", "prediction", rule, predicted.shape, advice))
    counted = np.ones(true.shape[:2]) if mask is None else np.asarray(mask, np.float64)
    if counted.shape != true.shape[:2]:
        rule = f"be {true.shape[:2]}, one value per point"
        raise ValueError(error_text("relative_l2_errors", "mask", rule, counted.shape, "Use the mask of the data."))
    counted = counted.reshape(counted.shape + (1,) * (true.ndim - 2))
    axes = tuple(range(1, true.ndim))
    return np.sum(counted * (predicted - true) ** 2, axis=axes), np.sum(counted * true**2, axis=axes)
