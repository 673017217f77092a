"""The range of the coefficients in training, and warnings outside of it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_ROUNDING = 1e-6  # of the range's ends, so that the training values pass in any float type


@dataclass(frozen=True)
class TrainingRange:
    """The lowest and highest values of input vectors in training.

    Args:
        ranges: name of an input -> its lowest values and its highest, an entry a coefficient each.
    """

    ranges: Mapping[str, tuple[Sequence[float], Sequence[float]]]

    def outside(self, inputs: Mapping[str, Sequence[Sequence[float]]]) -> list[str]:
        """A line for every coefficient that leaves its range in some row: the coefficient, the range, the first value.

        Args:
            inputs: name -> rows of coefficients; inputs without a range are left out.
        """
        lines = []
        for name in [name for name in self.ranges if name in inputs]:
            for entry, (low, high) in enumerate(zip(*self.ranges[name], strict=True)):
                room = _ROUNDING * max(1.0, abs(low), abs(high))
                values = [float(row[entry]) for row in inputs[name]]
                rows = [row for row, value in enumerate(values) if not low - room <= value <= high + room]
                if rows:
                    lines.append(
                        f"`{name}[{entry}]` lies outside of its training range [{low:g}, {high:g}]. Received: "
                        f"{values[rows[0]]:g} in row {rows[0]} ({len(rows)} such rows). The answer is a guess: train "
                        "on such values, or compare with a solver."
                    )
        return lines

    def warn(self, owner: str, inputs: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Warns of what `outside` says, a `UserWarning` each."""
        for line in self.outside(inputs):
            warnings.warn(f"{owner}: {line}", UserWarning, stacklevel=3)
