"""Smooth curves over the intervals of a survival model."""

import numpy as np
from numpy.typing import NDArray


def smooth_shapes(num_intervals: int, num_shapes: int) -> NDArray[np.float32]:
    """Returns cosines over the intervals, from a constant on each with half a wave more: float32 `(S, K)`.

    `shape_0 = 1` and `shape_s(k) = sqrt(2) cos(pi s (k + 1/2) / K)`: a discrete cosine basis. The rows are orthogonal
    and of mean square 1; all K of them can make any curve, the first few of them smooth ones alone.

    Args:
        num_intervals: int. K.
        num_shapes: int. S, at most K.

    Example:

    >>> smooth_shapes(4, 2).round(2).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.309999942779541, 0.5400000214576721, -0.5400000214576721, -1.309999942779541]]
    """
    waves = np.arange(num_shapes)[:, np.newaxis]
    shapes = np.sqrt(2.0) * np.cos(np.pi * waves * (np.arange(num_intervals) + 0.5) / num_intervals)
    shapes[0] = 1.0
    return np.asarray(shapes, np.float32)
