"""Isotonic calibration: the non-decreasing function nearest to the labels."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfmtl.export.calibration.calibrator import Floats, ScoreCalibrator
from tfmtl.schema.checks import error_text

_STEEPEST = 20.0  # probabilities that differ by rounding alone, some 1e-7, may not differ by 1e-5 afterwards


@dataclass(frozen=True)
class IsotonicCalibration(ScoreCalibrator):
    """Least squares among all non-decreasing functions, straight between its knots and constant outside.

    With N labels it never says less than `1 / (N + 2)`, nor more than `1 - 1 / (N + 2)`. It nowhere rises faster than
    20 times its input: the fit jumps between neighboring labels, and a jump would turn rounding into another answer.

    It corrects any shape of error, given thousands of labels. Candidates whose probabilities fall on a level stretch
    tie afterwards, so a list is better sorted by what is not calibrated this way.

    Args:
        inputs: tuple of float. Predicted probabilities at the knots, strictly increasing.
        outputs: tuple of float. The calibrated probability at each knot, not decreasing; linear in between.

    Reference:
        Zadrozny and Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates"; the
        fit is the pool-adjacent-violators algorithm of Ayer et al. 1955.
    """

    method: ClassVar[str] = "isotonic"

    inputs: tuple[float, ...]
    outputs: tuple[float, ...]

    @classmethod
    def fit(cls, labels: Floats, probabilities: Floats) -> "IsotonicCalibration":
        """The fit, over at least one row.

        Raises:
            ValueError: the best non-decreasing function of several probabilities is a constant: the model tells
                nothing, or puts negatives above positives.
        """
        # In float32, as the graph has them, so that both sides see the same knots.
        column = np.asarray(probabilities, np.float32)
        inputs, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        means = np.bincount(places, weights=labels) / counts
        values: list[float] = []  # of the blocks so far: their mean label,
        weights: list[float] = []  # rows,
        sizes: list[int] = []  # and inputs
        for mean, count in zip(means, counts, strict=True):
            value, weight, size = float(mean), float(count), 1
            while values and values[-1] >= value:
                last = weights.pop()
                value = (values.pop() * last + value * weight) / (last + weight)
                weight, size = weight + last, size + sizes.pop()
            values.append(value)
            weights.append(weight)
            sizes.append(size)
        if len(values) == 1 and len(inputs) > 1 and np.ptp(labels) > 0.0:
            rule = "rise with the model's probability; the best fit that does not fall is one constant"
            advice = "Every candidate would tie. Look for a flipped label, or a model that learned nothing"
            raise ValueError(error_text("IsotonicCalibration", "labels", rule, values[0], advice))
        # Platt's bounds: a few rows at an end that share their label do not prove a probability of 0 or 1.
        bound = 1.0 / (len(column) + 2.0)
        fit = np.repeat(values, sizes)
        limited = _not_steeper(inputs.astype(np.float64), np.clip(fit, bound, 1.0 - bound))
        limited += np.average(fit - limited, weights=counts)  # the mean stays that of the labels
        outputs = np.clip(limited, bound, 1.0 - bound)
        # Inside a level stretch a knot says nothing: only its two ends are kept.
        inner = np.zeros(len(outputs), bool)
        inner[1:-1] = (outputs[1:-1] == outputs[:-2]) & (outputs[1:-1] == outputs[2:])
        return cls(tuple(inputs[~inner].tolist()), tuple(outputs[~inner].tolist()))

    def of_array(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities."""
        return np.asarray(np.interp(probabilities, self.inputs, self.outputs))

    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        """The same in the graph."""
        if len(self.inputs) == 1:
            return tf.fill(tf.shape(probabilities), tf.constant(self.outputs[0], tf.float32))
        inputs, outputs = tf.constant(self.inputs, tf.float64), tf.constant(self.outputs, tf.float64)
        clipped = tf.clip_by_value(tf.cast(probabilities, tf.float64), self.inputs[0], self.inputs[-1])
        right = tf.clip_by_value(tf.searchsorted(inputs, clipped, side="right"), 1, len(self.inputs) - 1)
        start, end = tf.gather(inputs, right - 1), tf.gather(inputs, right)
        low, high = tf.gather(outputs, right - 1), tf.gather(outputs, right)
        return tf.cast(low + (high - low) * (clipped - start) / (end - start), tf.float32)

    def parameters(self) -> dict[str, Any]:
        """The knots."""
        return {"inputs": list(self.inputs), "outputs": list(self.outputs)}


def _not_steeper(inputs: Floats, outputs: Floats) -> Floats:
    """The mean of the largest function below `outputs` and the smallest one above that nowhere rise too fast."""
    line = _STEEPEST * inputs
    below = np.minimum.accumulate(outputs - line) + line
    above = np.maximum.accumulate((outputs - line)[::-1])[::-1] + line
    limited = (below + above) / 2.0
    # Where nothing is steep, nothing changes, so that level stretches stay level to the last bit.
    same = np.abs(limited - outputs) < 1e-12
    return np.asarray(np.maximum.accumulate(np.where(same, outputs, limited)))
