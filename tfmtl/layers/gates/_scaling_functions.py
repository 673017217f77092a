"""The functions of DEPHN's virtual gradient: by how much a gate's gradient grows or shrinks.

Each takes the correlation x of two tasks' labels and the distance y of their gates, both in [0, 1], and returns a
number in [0, 2]. The additive ones give 2 where both are 0 or both 1, and 0 where one is 0 and the other 1, as the
method wants; the multiplicative ones give 2 in all four cases and vanish where `x y = 1/2`.
"""

import math
from collections.abc import Callable

from keras import ops

from tfmtl.core.types import Tensor


def _root(distance: Tensor) -> Tensor:
    """`2 sqrt(|distance|)`, with a gradient of zero at zero, where XLA would have NaN."""
    size = ops.abs(distance)
    positive = size > 0.0
    return ops.where(positive, 2.0 * ops.sqrt(ops.where(positive, size, 1.0)), 0.0)


SCALING_FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiplicative_cosine": lambda x, y: ops.cos(2.0 * math.pi * x * y) + 1.0,
    "multiplicative_absolute": lambda x, y: 2.0 * ops.abs(2.0 * x * y - 1.0),
    "multiplicative_square": lambda x, y: 2.0 * ops.square(2.0 * x * y - 1.0),
    "multiplicative_root": lambda x, y: _root(2.0 * x * y - 1.0),
    "additive_cosine": lambda x, y: ops.cos(math.pi * (x + y)) + 1.0,
    "additive_absolute": lambda x, y: 2.0 * ops.abs(x + y - 1.0),
    "additive_square": lambda x, y: 2.0 * ops.square(x + y - 1.0),
    "additive_root": lambda x, y: _root(x + y - 1.0),
}
