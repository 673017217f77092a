"""Predicted survival curves of many rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfmtl.schema.checks import check_one_of, error_text
from tfmtl.survival._rows import read_edges
from tfmtl.survival.interpolation import (
    INTERPOLATIONS,
    Interpolation,
    lifetime_until,
    log_survival_at,
    median_lifetime,
)

_LEAST = 1e-38


@dataclass(frozen=True)
class SurvivalCurves:
    """A survival curve for each row, known at cut points and interpolated between them.

    Shapes: N rows, K intervals, M times.

    Args:
        edges: `(K,)`, ascending, above 0. Right edges of the intervals; the first starts at 0, where S is 1.
        survival: `(N, K)`, in [0, 1], not rising along a row. S at the edges. Beyond the last it stays.
        interpolation: str. `"constant_density"` or `"constant_hazard"`, inside an interval. Defaults to
            `"constant_density"`.

    Raises:
        ValueError: shapes do not fit, edges do not ascend, or a value is no survival.

    Example:

    >>> curves = SurvivalCurves(np.array([2.0, 4.0]), np.array([[0.5, 0.25]]))
    >>> curves.at([0.0, 1.0, 3.0]).round(3).tolist(), curves.expected_lifetime().round(3).tolist()
    ([[1.0, 0.75, 0.375]], [2.25])
    """

    edges: NDArray[np.float64]
    survival: NDArray[np.float64]
    interpolation: Interpolation = "constant_density"

    def __post_init__(self) -> None:
        owner = "SurvivalCurves"
        check_one_of(owner, "interpolation", self.interpolation, INTERPOLATIONS)
        edges = read_edges(owner, self.edges, "Pass the model's right edges.")
        survival = np.asarray(self.survival, np.float64)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "survival", survival)
        if survival.ndim != 2 or survival.shape[1] != len(edges):
            rule, advice = f"be (N, {len(edges)}), one value for each edge", "Take both from one model."
            raise ValueError(error_text(owner, "survival.shape", rule, survival.shape, advice))
        valid = (survival >= 0) & (survival <= 1 + 1e-6) & (np.diff(survival, axis=1, prepend=1.0) <= 1e-6)
        if not valid.all():
            row = int(np.flatnonzero(~valid.all(axis=1))[0])
            advice = f"Look at row {row}; a model that answers NaN has diverged."
            rule = "lie in [0, 1] and not rise along a row"
            raise ValueError(error_text(owner, "survival", rule, survival[row].tolist(), advice))

    def __len__(self) -> int:
        return len(self.survival)

    def rows(self, chosen: Any) -> "SurvivalCurves":
        """Returns the curves of some rows, by index, slice or mask."""
        return SurvivalCurves(self.edges, self.survival[chosen], self.interpolation)

    def at(self, times: ArrayLike) -> NDArray[np.float64]:
        """Returns S of every row at each of `times` `(M,)`: `(N, M)`."""
        column = np.asarray(times, np.float64)
        return self._at(np.broadcast_to(column, (len(self), len(column))))

    def at_own(self, times: ArrayLike) -> NDArray[np.float64]:
        """Returns S of each row at its own time, `(N,)` for `times` `(N,)`."""
        return self._at(np.asarray(times, np.float64)[:, None])[:, 0]

    def at_age(self, times: ArrayLike, ages: ArrayLike) -> NDArray[np.float64]:
        """Returns the chance to live another t given the row's age, `S(age + t) / S(age)`: `(N, M)` for `(M,)`."""
        age = np.asarray(ages, np.float64)[:, None]
        alive = self._at(age)
        return self._at(age + np.asarray(times, np.float64)) / np.maximum(alive, _LEAST)

    def expected_lifetime(self) -> NDArray[np.float64]:
        """Returns the expected lifetime within the horizon, the integral of S, `(N,)`."""
        return self._until(np.full((len(self), 1), self.edges[-1]))

    def remaining_life(self, ages: ArrayLike) -> NDArray[np.float64]:
        """Returns the expected rest of life within the horizon given each row's age, `(N,)` for `ages` `(N,)`."""
        age = np.asarray(ages, np.float64)[:, None]
        rest = self.expected_lifetime() - self._until(age)
        return np.maximum(rest, 0.0) / np.maximum(self._at(age)[:, 0], _LEAST)

    def median_lifetime(self) -> NDArray[np.float64]:
        """Returns when S reaches one half, `(N,)`; the horizon where it never does."""
        return median_lifetime(np, self._log(), self.edges, self.interpolation)  # type: ignore[no-any-return]

    def _log(self) -> NDArray[np.float64]:
        return np.log(np.clip(self.survival, _LEAST, 1.0))

    def _at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        logs = log_survival_at(np, self._log(), self.edges, times, self.interpolation)
        return np.exp(logs)  # type: ignore[no-any-return]

    def _until(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        area = lifetime_until(np, self._log(), self.edges, times, self.interpolation)
        return area[:, 0]  # type: ignore[no-any-return]
