"""How far served scores lie from those computed here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass
class ScoreCheck:
    """Adds up the differences of one version's outputs.

    Args:
        tolerance: float. A score is off if it differs by more: absolute for values up to 1, relative above.

    Attributes:
        largest: output -> largest difference, NaN if any is.
        scores: output -> scores compared.
        off: output -> those that are off.
    """

    tolerance: float

    def __post_init__(self) -> None:
        self.largest: dict[str, float] = {}
        self.scores: dict[str, int] = {}
        self.off: dict[str, int] = {}

    def add(self, served: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, npt.NDArray[Any]]) -> None:
        """Compares the outputs that both have. An answer of another shape is off as a whole."""
        for name in sorted(set(served) & set(expected)):
            one, other = np.asarray(served[name], np.float64), np.asarray(expected[name], np.float64)
            if one.shape == other.shape:
                is_same = (one == other) | (np.isnan(one) & np.isnan(other))
                with np.errstate(invalid="ignore"):  # infinity less infinity
                    gaps = np.where(is_same, 0.0, np.abs(one - other) / np.maximum(1.0, np.abs(other)))
            else:
                gaps = np.full(other.shape, np.nan)
            before = self.largest.get(name, 0.0)
            self.largest[name] = float(np.max(gaps, initial=before))
            self.scores[name] = self.scores.get(name, 0) + gaps.size
            self.off[name] = self.off.get(name, 0) + int(np.sum(~(gaps <= self.tolerance)))

    @property
    def is_passed(self) -> bool:
        """Whether no score is off."""
        return not any(self.off.values())

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Output -> largest difference, scores and how many are off."""
        return {
            name: {"largest_difference": self.largest[name], "scores": self.scores[name], "off": self.off[name]}
            for name in self.scores
        }
