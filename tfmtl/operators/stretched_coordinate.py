"""Points in the coordinates of a reference geometry."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor, Tensors
from tfmtl.schema.checks import check_count, check_number, check_one_of, check_positive_number, error_text

_NEAREST = 1e-3  # of the length: a place at an end would leave one side without points


@keras.saving.register_keras_serializable(package="tfmtl")
class StretchedCoordinate:
    """Moves points so that a part of the geometry, such as a row of holes, always lies in the middle.

    A coordinate y in `[0, L]` with the part at p becomes `L y / (2 p)` below p and `L - L (L - y) / (2 (L - p))` above:
    both ends stay and p moves to `L / 2`. The functions of a trunk do not move with the geometry, so many of them are
    needed for a field whose steep places move; in moved coordinates few are enough. The trunk is then evaluated for
    every sample, so a training step costs more: use fewer points per step.

    Shapes: B batch, Q points of d coordinates.

    Args:
        input: str. Name of the input, a vector `(B, c)`, that says where the part is.
        entry: int. Which entry of the input says so. Defaults to `0`.
        axis: int. Which coordinate of a point is moved. Defaults to `0`.
        length: float. L. Defaults to `1.0`.
        places: two floats. p where the entry is 0, and where it is 1. Defaults to `(0.0, 1.0)`.

    Raises:
        ValueError: If `entry` or `axis` is negative, `length` not positive, or the places are equal.
        TypeError: If `entry` or `axis` is not an int.

    Example:

    >>> moved = StretchedCoordinate("place").moved(keras.ops.array([[0.25]]), keras.ops.array([[0.25], [1.0]]))
    >>> keras.ops.convert_to_numpy(moved).tolist()
    [[[0.5], [1.0]]]
    """

    def __init__(
        self,
        input: str,
        entry: int = 0,
        axis: int = 0,
        length: float = 1.0,
        places: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        owner = type(self).__name__
        check_count(owner, "entry", entry, "Count entries from 0.")
        check_count(owner, "axis", axis, "Count coordinates from 0.")
        check_positive_number(owner, "length", length)
        for place in places:
            check_number(owner, "places", place)
        if len(places) != 2 or places[0] == places[1]:
            advice = "Give the place at entry 0 and the one at entry 1."
            raise ValueError(error_text(owner, "places", "be two different numbers", places, advice))
        self.input = input
        self.entry = entry
        self.axis = axis
        self.length = length
        self.places = (places[0], places[1])

    def check(self, owner: str, shapes: Mapping[str, Shape], point_dim: int) -> None:
        """Raises unless a network has the input and its entry, and points have the coordinate.

        Args:
            owner: str. The network, for errors.
            shapes: name of an input -> its shape without the batch.
            point_dim: int. Coordinates of a point.
        """
        check_one_of(owner, "coordinates.input", self.input, list(shapes))
        shape = shapes[self.input]
        if len(shape) != 1 or shape[0] <= self.entry:
            rule = f"name a vector with an entry {self.entry}"
            raise ValueError(error_text(owner, "coordinates.input", rule, (self.input, shape), "Count from 0."))
        if self.axis >= point_dim:
            rule, advice = f"be below {point_dim}", "Count coordinates from 0."
            raise ValueError(error_text(owner, "coordinates.axis", rule, self.axis, advice))

    def place(self, inputs: Tensors) -> Tensor:
        """p of every sample, float32 `(B, 1)`."""
        entry = ops.cast(inputs[self.input], "float32")[:, self.entry : self.entry + 1]
        place = self.places[0] + (self.places[1] - self.places[0]) * entry
        return ops.clip(place, _NEAREST * self.length, (1.0 - _NEAREST) * self.length)

    def moved(self, place: Tensor, points: Tensor) -> Tensor:
        """The points as the trunk sees them: `(Q, d)` or `(B, Q, d)` -> `(B, Q, d)`."""
        if len(points.shape) == 2:
            points = ops.repeat(points[None], ops.shape(place)[0], axis=0)
        y = points[..., self.axis]
        below = 0.5 * self.length * y / place
        above = self.length - 0.5 * self.length * (self.length - y) / (self.length - place)
        others = [points[..., axis] for axis in range(points.shape[-1])]
        others[self.axis] = ops.where(y < place, below, above)
        return ops.stack(others, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "input": self.input,
            "entry": self.entry,
            "axis": self.axis,
            "length": self.length,
            "places": list(self.places),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "StretchedCoordinate":
        """Makes the coordinate of a config."""
        return cls(**config)
