"""A hard initial condition for operator networks."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Tensor
from tfmtl.schema.checks import check_count, check_positive_number

_ON_GRID = 1e-3  # of a cell: closer to a grid point than that is the grid point, not rounding beside it


@keras.saving.register_keras_serializable(package="tfmtl")
class PeriodicInitialCondition:
    """`u(t, x) = u0(x) + t N(t, x)` with u0 an input of the branch, given on a periodic grid in one dimension.

    At t = 0 the network then answers u0, exactly at the grid's points and linearly interpolated between them.

    Shapes: B batch, Q points of d coordinates, X cells of the grid.

    Args:
        input: str. Name of the input that holds u0, `(B, X)`, at x = 0, period / X, ...
        time_axis: int. Which coordinate of a point is t. Defaults to `0`.
        space_axis: int. Which coordinate is x. Defaults to `1`.
        period: float. Length of the grid. Defaults to `1.0`.

    Raises:
        ValueError: If an axis is negative or `period` not positive.
        TypeError: If an axis is not an int.
    """

    def __init__(self, input: str, time_axis: int = 0, space_axis: int = 1, period: float = 1.0) -> None:
        owner = type(self).__name__
        check_count(owner, "time_axis", time_axis, "Count coordinates from 0.")
        check_count(owner, "space_axis", space_axis, "Count coordinates from 0.")
        check_positive_number(owner, "period", period)
        self.input = input
        self.time_axis = time_axis
        self.space_axis = space_axis
        self.period = period

    def start(self, initial: Tensor, points: Tensor) -> Tensor:
        """u0 at the points: float32 `(B, X)` and `(Q, d)` or `(B, Q, d)` -> `(B, Q)`."""
        cells = initial.shape[1]
        place = ops.cast(points[..., self.space_axis], "float32") * (cells / self.period)
        nearest = ops.round(place)
        place = ops.where(ops.abs(place - nearest) < _ON_GRID, nearest, place)
        below = ops.floor(place)
        share = place - below
        index = ops.cast(below, "int32")
        low, high = ops.mod(index, cells), ops.mod(index + 1, cells)
        if len(points.shape) == 2:
            values = ops.take(initial, low, axis=1), ops.take(initial, high, axis=1)
        else:
            values = ops.take_along_axis(initial, low, axis=1), ops.take_along_axis(initial, high, axis=1)
        return values[0] * (1.0 - share) + values[1] * share

    def gain(self, points: Tensor) -> Tensor:
        """t at the points: `(..., d)` -> `(...)`."""
        return ops.cast(points[..., self.time_axis], "float32")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "input": self.input,
            "time_axis": self.time_axis,
            "space_axis": self.space_axis,
            "period": self.period,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PeriodicInitialCondition":
        """Makes the condition of a config."""
        return cls(**config)
