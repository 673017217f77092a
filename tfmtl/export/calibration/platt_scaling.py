"""Platt's calibration: a logistic regression on the model's logit."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfmtl.export.calibration.calibrator import Floats, ScoreCalibrator
from tfmtl.schema.checks import error_text

_SMALLEST = 1e-7  # about what float32 can tell from 1
_STEPS = 100


@dataclass(frozen=True)
class PlattScaling(ScoreCalibrator):
    """`sigmoid(slope * logit(p) + intercept)`.

    Smooth, strictly increasing for a positive slope, so that the order of the candidates stays; two numbers, so a
    few hundred labels suffice.

    Args:
        slope: float. Factor of the logit.
        intercept: float. Added to it.

    Reference:
        Platt 1999, "Probabilistic outputs for support vector machines", with its smoothed targets; Newton's method
        with halved steps as in Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs".
    """

    method: ClassVar[str] = "platt"

    slope: float
    intercept: float

    @classmethod
    def fit(cls, labels: Floats, probabilities: Floats) -> "PlattScaling":
        """The maximum-likelihood fit; `labels` of 0 and 1, both of which occur.

        Where all probabilities are equal nothing is known of the slope, and it is 1.

        Raises:
            ValueError: the fitted slope is not positive: the model puts negatives above positives.
        """
        positives, negatives = float(np.sum(labels == 1.0)), float(np.sum(labels == 0.0))
        targets = np.where(labels == 1.0, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))
        if np.ptp(probabilities) == 0.0:
            return cls(1.0, float((_logits(np.full(1, targets.mean())) - _logits(probabilities[:1]))[0]))
        design = np.stack([_logits(probabilities), np.ones_like(probabilities)], axis=1)  # (B, 2)
        weights = np.array([1.0, 0.0])
        for _ in range(_STEPS):
            predicted = _sigmoid(design @ weights)
            gradient = design.T @ (predicted - targets)
            curvature = design.T @ (design * (predicted * (1.0 - predicted))[:, None]) + 1e-9 * np.eye(2)
            if np.max(np.abs(gradient)) < 1e-9 * len(targets):
                break
            step, scale = np.linalg.solve(curvature, gradient), 1.0
            now = _loss(design @ weights, targets)
            while scale > 1e-10 and _loss(design @ (weights - scale * step), targets) > now:
                scale /= 2.0
            weights = weights - scale * step
        if weights[0] <= 0.0:
            rule = "come out positive: the higher this model predicts, the rarer the positives are"
            advice = "Calibration would turn the order round. Look for a flipped label, or a model that learned nothing"
            raise ValueError(error_text("PlattScaling", "slope", rule, float(weights[0]), advice))
        return cls(float(weights[0]), float(weights[1]))

    def of_array(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities."""
        return _sigmoid(self.slope * _logits(probabilities) + self.intercept)

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        """The same in the graph; in float64 too, for near 1 float32 has no room for the logit."""
        clipped = tf.clip_by_value(tf.cast(probabilities, tf.float64), _SMALLEST, 1.0 - _SMALLEST)
        logits = tf.math.log(clipped) - tf.math.log1p(-clipped)
        return tf.cast(tf.sigmoid(self.slope * logits + self.intercept), tf.float32)

    def parameters(self) -> dict[str, Any]:
        """Slope and intercept."""
        return asdict(self)


def _logits(probabilities: Floats) -> Floats:
    clipped = np.clip(probabilities, _SMALLEST, 1.0 - _SMALLEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))


def _loss(logits: Floats, targets: Floats) -> float:
    return float(np.sum(np.logaddexp(0.0, logits) - targets * logits))
