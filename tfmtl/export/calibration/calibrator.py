"""The base classes of calibrators."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.metrics import expected_calibration_error, log_loss, reliability_table
from tfmtl.schema import TaskRecord
from tfmtl.schema.checks import error_text
from tfmtl.schema.reserved import JOINT

Floats = npt.NDArray[np.float64]
Values = TypeVar("Values")


@dataclass(frozen=True)
class Reliability:
    """Predictions beside what happened, in groups of like predictions.

    Args:
        predicted: list of float. Mean prediction of each group.
        observed: list of float. What was observed of it.
        error: str. How far they are apart, with its name.
    """

    predicted: list[float]
    observed: list[float]
    error: str


class Calibrator(ABC):
    """A function from a task's outputs to outputs whose probabilities are right on average, in NumPy and in the graph.

    Labels are by part, outputs by suffix, as `TaskBehavior` has them.

    Attributes:
        method: str. Its name on the command line.
    """

    method: ClassVar[str]

    @classmethod
    @abstractmethod
    def of_task(
        cls, task: TaskRecord, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
    ) -> Self:
        """The fit to the rows of a split.

        Args:
            task: whose outputs they are.
            state: what was fitted to the task's training labels.
            labels: part -> `(N,)`, the primary one NaN where there is no label.
            outputs: suffix -> `(N, *inner)`.

        Raises:
            ValueError: the rows do not suffice, or no calibration of this kind makes sense.
        """

    @abstractmethod
    def of_arrays(self, outputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """The calibrated outputs, of the same shapes."""

    @abstractmethod
    def of_tensors(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The same with standard TensorFlow operations, float32."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What was fitted or given, ready for JSON."""

    @abstractmethod
    def measures(self, labels: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> dict[str, float]:
        """Metric -> value, of outputs calibrated or not: what calibration should make better."""

    @abstractmethod
    def reliability(self, labels: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> Reliability:
        """What the figure draws, of outputs calibrated or not."""


class ScoreCalibrator(Calibrator):
    """A calibrator of a yes/no task: a function from its probability, the score, to a probability."""

    @classmethod
    def of_task(
        cls, task: TaskRecord, state: Mapping[str, Any], labels: Mapping[str, Floats], outputs: Mapping[str, Floats]
    ) -> Self:
        known = ~np.isnan(labels[""])
        rows = labels[""][known].astype(np.float64)
        if len(set(rows.tolist())) < 2:
            rule = "have positive and negative labels in the validation split"
            advice = "Leave it as it is, or validate on more."
            raise ValueError(error_text("calibrate", "task", rule, task.name, advice))
        try:
            return cls.fit(rows, outputs[""][known].astype(np.float64))
        except ValueError as error:
            text = f"calibrate: task '{task.name}' cannot be calibrated by '{cls.method}'. {error}"
            raise ValueError(text) from error

    @classmethod
    def fit(cls, labels: Floats, probabilities: Floats) -> Self:
        """The fit to labels of 0 and 1, both of which occur, and the model's probabilities, each `(N,)`."""
        raise NotImplementedError(f"{cls.__name__} is given, not fitted.")

    @abstractmethod
    def of_array(self, probabilities: Floats) -> Floats:
        """The calibrated probabilities, `(B,)` to `(B,)`."""

    @abstractmethod
    def of_tensor(self, probabilities: tf.Tensor) -> tf.Tensor:
        """The same with standard TensorFlow operations, float32."""

    def of_arrays(self, outputs: Mapping[str, Floats]) -> dict[str, Floats]:
        return {**outputs, "": self.of_array(outputs[""])}

    def of_tensors(self, outputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**outputs, "": self.of_tensor(outputs[""])}

    def measures(self, labels: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> dict[str, float]:
        pair = labels[""], outputs[""]
        return {"ece": expected_calibration_error(*pair), "log_loss": log_loss(*pair)}

    def reliability(self, labels: Mapping[str, Floats], outputs: Mapping[str, Floats]) -> Reliability:
        bins = reliability_table(labels[""], outputs[""])
        error = f"ECE {expected_calibration_error(labels[''], outputs['']):.4f}"
        return Reliability([each.mean_predicted for each in bins], [each.mean_observed for each in bins], error)


def outputs_of(task: str, named: Mapping[str, Values]) -> dict[str, Values]:
    """One task's part of what is called after tasks, labels or outputs: part or suffix -> values."""
    prefix = f"{task}{JOINT}"
    own = {name.removeprefix(prefix): values for name, values in named.items() if name.startswith(prefix)}
    return {**own, "": named[task]} if task in named else own
