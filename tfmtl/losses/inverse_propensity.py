"""The loss of a step that is seen only where its parent happened, as it would be on all rows."""

from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_shape, error_text


def inverse_propensity_loss(
    labels: Tensor,
    logits: Tensor,
    parent_labels: Tensor,
    parent_logits: Tensor,
    least: float = 0.01,
    weights: Tensor | None = None,
) -> Tensor:
    """Returns the cross-entropy of a conditional step, each row weighted by how unlikely it was to be seen.

    With o the parent's label, r the step's, p and q their predicted probabilities:
    `sum_rows o BCE(r, p) / sg(max(q, least)) / rows`, where sg stops the gradient, so that the parent learns nothing
    from it, and rows counts all for which it is known whether the parent happened and, if so, the step. If q is right,
    its mean is that of BCE(r, p) over all rows, seen or not; below `least` it is too small. A batch without a parent
    that happened has the loss 0. What the label or logit of another row holds, even NaN, changes neither the value nor
    a gradient. Computed in float32.

    Shapes: B batch.

    Args:
        labels: `(B,)`, 0, 1 or NaN. Read where the parent happened.
        logits: `(B,)`, of the step given its parent.
        parent_labels: `(B,)`, 0, 1 or NaN.
        parent_logits: `(B,)`, of the parent on its own (marginal).
        least: float in (0, 1]. Smallest propensity. Defaults to `0.01`.
        weights: `(B,)`, at least 0, or None. Rows count as often as they say. Defaults to `None`, once.

    Returns:
        float32 scalar, at least 0.

    Raises:
        ValueError: `least` is out of its range, or `labels` is not `(B,)`.

    Example:

    >>> round(float(inverse_propensity_loss([1.0, 0.0], [0.0, 9.0], [1.0, 0.0], [0.0, 0.0])), 4)  # log(2) / .5 / 2
    0.6931

    Reference:
        Wang et al. 2022 (ESCM2), https://arxiv.org/abs/2204.05125, the IPS estimator; stop-gradient and the smallest
        propensity are our reading.
    """
    owner = "inverse_propensity_loss"
    if not 0.0 < least <= 1.0:
        raise ValueError(error_text(owner, "least", "lie above 0 and at most at 1", least, "Use 0.01."))
    labels = ops.cast(labels, "float32")
    check_shape(owner, "labels", labels.shape, "B")
    parents = ops.cast(parent_labels, "float32")
    seen = ops.logical_and(ops.equal(parents, 1.0), ops.logical_not(ops.isnan(labels)))
    counted = ops.logical_or(seen, ops.equal(parents, 0.0))
    rows = ops.cast(counted, "float32")
    if weights is not None:
        rows = ops.where(counted, ops.cast(weights, "float32"), 0.0)
    # Replaced before the loss, not only weighted by 0 after it: 0 times NaN is NaN.
    own = ops.where(seen, ops.cast(logits, "float32"), 0.0)
    above = ops.where(seen, ops.cast(parent_logits, "float32"), 0.0)
    losses = ops.binary_crossentropy(ops.where(seen, labels, 0.0), own, from_logits=True)
    propensity = ops.stop_gradient(ops.maximum(ops.sigmoid(above), least))
    total = ops.sum(ops.where(seen, rows * losses / propensity, 0.0))
    return ops.divide_no_nan(total, ops.sum(rows))
