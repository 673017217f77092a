"""Knots of a piecewise linear function, spread over the values that a column has."""

import numpy as np


def spread_knots(column: np.ndarray, num_bins: int) -> np.ndarray:
    """Knots with about equally many rows between them, no two at one value.

    A value that would fill a bin alone is a knot of its own; the knots that are left are quantiles of all
    other rows. So a value that most rows have, such as "never", takes one knot, not most of them. Where there are
    fewer values than knots, each is a knot, and the knots that are left lie beyond all numbers, where no row comes.

    Args:
        column: float `(N,)`, N at least 1, finite.
        num_bins: int. K.

    Returns:
        float32 `(K + 1,)`, rising.

    Example:

    >>> spread_knots(np.array([-1.0] * 90 + list(range(10))), 4).tolist()
    [-1.0, 0.0, 3.0, 6.0, 9.0]
    """
    values, counts = np.unique(column.astype(np.float32), return_counts=True)
    own = np.zeros(len(values), bool)
    left = num_bins + 1
    while True:
        # Without the frequent values, bins are smaller, and other values may be frequent in turn.
        frequent = ~own & (counts * (left - 1) >= counts[~own].sum())
        if left <= 1 or not frequent.any():
            break
        own |= frequent
        left = num_bins + 1 - int(own.sum())
    others = np.repeat(values[~own], counts[~own]).astype(np.float64)
    shares = np.linspace(0.0, 1.0, left) if left > 1 else np.full(left, 0.5)
    quantiles = np.quantile(others, shares) if others.size else np.empty(0)
    knots = np.unique(np.concatenate([values[own], quantiles.astype(np.float32)]))
    return np.pad(knots, (0, num_bins + 1 - len(knots)), constant_values=np.finfo(np.float32).max)
