"""The mean loss over the rows that have a label."""

from collections.abc import Callable

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_axis, check_shape, error_text


def masked_mean_loss(
    owner: str,
    labels: Tensor,
    argument: str,
    predictions: Tensor,
    weights: Tensor | None,
    row_loss: Callable[[Tensor, Tensor], Tensor],
    width: int | None = None,
) -> Tensor:
    """Returns the weighted mean, in float32, of `row_loss(labels, predictions)` over the rows with a label.

    Predictions are `(B,)`, or `(B, width)` where a width is given.
    """
    labels = _as_vector(owner, "labels", labels)
    if width is None:
        predictions = _as_vector(owner, argument, predictions)
    else:
        predictions = ops.cast(predictions, "float32")
        check_shape(owner, argument, predictions.shape, "B, K")
        check_axis(owner, argument, predictions.shape, 1, (width,), "Give what the task's own head puts out.")
    _check_length(owner, argument, predictions, labels)
    present = ops.logical_not(ops.isnan(labels))
    row_weights = ops.cast(present, "float32")
    if weights is not None:
        weights = _as_vector(owner, "weights", weights)
        _check_length(owner, "weights", weights, labels)
        row_weights = ops.where(present, weights, 0.0)

    # Rows left out are replaced before the loss, not only weighted by 0 after it: 0 times NaN is NaN, in the
    # gradient as in the value.
    counts = ops.not_equal(row_weights, 0.0)
    kept = ops.where(counts if width is None else counts[:, None], predictions, 0.0)
    losses = row_loss(ops.where(counts, labels, 0.0), kept)
    return ops.divide_no_nan(ops.sum(row_weights * losses), ops.sum(row_weights))


def _as_vector(owner: str, argument: str, values: Tensor) -> Tensor:
    tensor = ops.cast(values, "float32")
    if len(tensor.shape) != 1:
        # (B,) against (B, 1) would otherwise broadcast to (B, B) silently.
        advice = f"Pass the column of one task, e.g. {argument}[:, 0]."
        raise ValueError(error_text(owner, f"{argument}.shape", "be (B,)", tuple(tensor.shape), advice))
    return tensor


def _check_length(owner: str, argument: str, values: Tensor, labels: Tensor) -> None:
    length, num_labels = values.shape[0], labels.shape[0]
    if length is not None and num_labels is not None and length != num_labels:
        rule = f"be ({num_labels},), the shape of `labels`"
        advice = "Take both from the same batch."
        raise ValueError(error_text(owner, f"{argument}.shape", rule, (length,), advice))
