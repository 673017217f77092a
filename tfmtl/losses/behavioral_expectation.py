"""Penalty on probabilities that rise along a chain of tasks."""

from collections.abc import Sequence

from keras import ops

from tfmtl.core.parents import check_parents, parent_pairs
from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_axis, check_shape, error_text


def behavioral_expectation(
    probabilities: Tensor, parents: Sequence[int | None], weights: Tensor | None = None
) -> Tensor:
    """Returns the mean over rows of `sum_k max(P_k - P_parent(k), 0)`, over the tasks that have a parent.

    A step cannot be likelier than the step it presupposes; this is by how much the predictions say so. It is zero,
    with zero gradient, exactly where no task exceeds its parent. A row whose weight is 0 changes neither the value
    nor any gradient. Computed in float32.

    Shapes: B batch, T tasks.

    Args:
        probabilities: `(B, T)`, of each task on its own (marginal, not given the parent), any float type.
        parents: The index of each task's parent, or None, in any order, as `(None, 0, 1)`.
        weights: `(B,)`, at least 0, or None. The mean is weighted: `sum(w x) / sum(w)`. Defaults to `None`, every
            row counts once.

    Returns:
        float32 scalar, at least 0.

    Raises:
        ValueError: a shape is another, a parent is not a task, or the parents form a cycle.
        TypeError: `parents` is not a sequence of ints and None.

    Example:

    >>> round(float(behavioral_expectation([[0.3, 0.5], [0.3, 0.1]], (None, 0))), 4)
    0.1

    Reference:
        Xi et al. 2021 (AITM), https://arxiv.org/abs/2105.08489, the behavioral expectation calibrator; its share in
        the whole loss, there 0.6, is the caller's.
    """
    owner = "behavioral_expectation"
    check_parents(owner, parents)
    probabilities = ops.cast(probabilities, "float32")
    check_shape(owner, "probabilities", probabilities.shape, "B, T")
    advice = "Give one probability for each task."
    check_axis(owner, "probabilities", probabilities.shape, 1, (len(parents),), advice)
    pairs = parent_pairs(parents)
    if not pairs:
        return ops.zeros((), dtype="float32")
    row_weights = _row_weights(owner, weights, probabilities)
    # Replaced before the difference, not only weighted by 0 after it: 0 times NaN is NaN.
    counted = ops.where(ops.not_equal(row_weights, 0.0)[:, None], probabilities, 0.0)
    children, above = zip(*pairs, strict=True)
    excess = ops.relu(ops.take(counted, children, axis=1) - ops.take(counted, above, axis=1))
    return ops.divide_no_nan(ops.sum(row_weights * ops.sum(excess, axis=1)), ops.sum(row_weights))


def _row_weights(owner: str, weights: Tensor | None, probabilities: Tensor) -> Tensor:
    """Returns `(B,)` float32; ones where no weights are given."""
    if weights is None:
        return ops.ones_like(probabilities[:, 0])
    weights = ops.cast(weights, "float32")
    batch = probabilities.shape[0]
    if len(weights.shape) != 1 or (None not in (batch, weights.shape[0]) and weights.shape[0] != batch):
        rule = "be (B,), one weight for each row of `probabilities`"
        advice = "Take both from the same batch."
        raise ValueError(error_text(owner, "weights.shape", rule, tuple(weights.shape), advice))
    return weights
