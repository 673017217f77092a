"""An index that is a quotient of sums over rows, with what each row adds to them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RowSums:
    """An index and each row's part in it: taking a row out is one subtraction, which makes the jackknife exact.

    Shapes: N rows.

    Args:
        wins: float64 `(N,)`. What goes from the numerator when a row is left out.
        pairs: float64 `(N,)`. What goes from the denominator.
        counted: int. In how many rows each term stands: 2 for pairs, 1 for means over rows. Defaults to `1`.

    Example:

    >>> RowSums(np.array([1.0, 2.0]), np.array([1.0, 1.0])).value
    1.5
    """

    wins: NDArray[np.float64]
    pairs: NDArray[np.float64]
    counted: int = 1

    @property
    def value(self) -> float:
        """The index; NaN where there is nothing to compare."""
        total = float(self.pairs.sum())
        return float(self.wins.sum()) / total if total > 0 else math.nan

    def without_each(self) -> NDArray[np.float64]:
        """Returns the index of all rows but one, for every row, `(N,)`."""
        wins = self.wins.sum() / self.counted - self.wins
        pairs = self.pairs.sum() / self.counted - self.pairs
        left: NDArray[np.float64] = np.divide(wins, pairs, out=np.full(len(wins), math.nan), where=pairs > 0)
        return left
