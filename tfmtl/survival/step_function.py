"""A function that is constant between the times at which it jumps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class StepFunction:
    """A right-continuous step function of time, as survival estimates are.

    Shapes: J jumps.

    Args:
        times: float64 `(J,)`, ascending. Where it jumps.
        values: float64 `(J,)`. Its value from that time on.
        start: float. Its value before the first jump.

    Example:

    >>> import numpy as np
    >>> survival = StepFunction(np.array([2.0, 5.0]), np.array([0.5, 0.25]), start=1.0)
    >>> survival.at([1.0, 2.0, 9.0]).tolist(), survival.before([2.0]).tolist()
    ([1.0, 0.5, 0.25], [1.0])
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    start: float

    def at(self, times: ArrayLike) -> NDArray[np.float64]:
        """Returns the values at `times`, of their shape."""
        return self._after_jumps(np.searchsorted(self.times, np.asarray(times, np.float64), side="right"))

    def before(self, times: ArrayLike) -> NDArray[np.float64]:
        """Returns the left limits at `times`: a jump at exactly that time is not in them."""
        return self._after_jumps(np.searchsorted(self.times, np.asarray(times, np.float64), side="left"))

    def _after_jumps(self, jumps: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.concatenate([[self.start], self.values])[jumps]
