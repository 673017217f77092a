"""Masks of the intervals in which rows ended, were observed or were not yet observed."""

from typing import Any

from keras import ops

from tfmtl.core.types import Tensor


def ended_in(times: Tensor, left: Any, right: Any) -> Tensor:
    """Returns in which interval a time lies, one-hot `(B, K)`, all 0 beyond the last; time 0 lies in the first."""
    after_left = (times[:, None] > left[None]) | (left[None] == 0.0)
    return ops.cast(ops.logical_and(after_left, times[:, None] <= right[None]), "float32")


def lived_through(times: Tensor, events: Tensor, left: Any, right: Any, midpoint: bool) -> Tensor:
    """Returns which intervals tell something of a row, 0 or 1 `(B, K)`.

    Of a row that ended: all up to the one in which it did. Of one that was still running: those it lived through, or,
    with `midpoint`, through half of.
    """
    reached = (times[:, None] > left[None]) | (left[None] == 0.0)
    whole = (left + right) / 2 if midpoint else right
    return ops.cast(ops.where(events[:, None] > 0.0, reached, times[:, None] >= whole[None]), "float32")


def not_yet_seen(entries: Tensor, right: Any) -> Tensor:
    """Returns the intervals that were over when a row was first observed, 0 or 1 `(B, K)`."""
    return ops.cast(entries[:, None] >= right[None], "float32")
