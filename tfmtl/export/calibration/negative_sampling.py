"""Calibration for negative down-sampling."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfmtl.export.calibration.calibrator import Floats, ScoreCalibrator
from tfmtl.schema.checks import check_number, error_text


@dataclass(frozen=True)
class NegativeSampling(ScoreCalibrator):
    """`p * kept / (p * kept + 1 - p)`: the probability before all but a share of the negatives were left out.

    Nothing is fitted. The labels of a sampled log are sampled too: on them the corrected probabilities look too low.

    Args:
        kept: float in (0, 1]. Share of the negative examples that was kept.

    Raises:
        TypeError: `kept` is not a number.
        ValueError: it does not lie in (0, 1].

    Reference:
        He et al. 2014, "Practical lessons from predicting clicks on ads at Facebook", section 6.3.
    """

    method: ClassVar[str] = "negatives"

    kept: float

    def __post_init__(self) -> None:
        check_number("NegativeSampling", "kept", self.kept)
        if not 0.0 < self.kept <= 1.0:
            advice = "Give the share of negatives that was kept, such as 0.1."
            raise ValueError(error_text("NegativeSampling", "kept", "lie in (0, 1]", self.kept, advice))

    def of_array(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities."""
        kept = probabilities * self.kept
        return np.asarray(kept / (kept + (1.0 - probabilities)))

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        """The same in the graph."""
        kept = probabilities * self.kept
        return kept / (kept + (1.0 - probabilities))

    def parameters(self) -> dict[str, Any]:
        """The share."""
        return asdict(self)
