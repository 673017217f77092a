"""The outputs of an exported model: tasks, calibrated or not, and score formulas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.export.calibration.calibrator import Calibrator
from tfmtl.export.score import Score
from tfmtl.schema import Output, TaskRecord


@dataclass(frozen=True)
class Answers:
    """The outputs of an exported model, made of the model's predictions in the graph and in NumPy alike.

    Scores are computed of calibrated predictions, whether or not the tasks are outputs themselves.

    Args:
        records: tuple of `TaskRecord`. The tasks to answer.
        scores: mapping of output name to `Score`. Defaults to none.
        calibrators: mapping of task to `Calibrator`. Defaults to none.
    """

    records: tuple[TaskRecord, ...]
    scores: Mapping[str, Score] = field(default_factory=dict)
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks to answer."""
        return tuple(record.name for record in self.records)

    @property
    def outputs(self) -> dict[str, Output]:
        """Output name -> what it is, of the tasks."""
        return {record.key(output.suffix): output for record in self.records for output in record.outputs}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the outputs, tasks before scores."""
        return (*self.outputs, *self.scores)

    def inner(self, name: str) -> tuple[int | None, ...]:
        """An output's shape behind the batch axis; `()` of a score."""
        return self.outputs[name].inner if name in self.outputs else ()

    def of_tensors(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Output name -> float32 `(B, *inner)`, of the predictions of all tasks of the model."""
        calibrated = {
            task: self.calibrators[task].of_tensor(values) if task in self.calibrators else values
            for task, values in predictions.items()
        }
        return self._chosen(calibrated)

    def of_arrays(self, predictions: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[np.float64]]:
        """The same in NumPy and float64."""
        calibrated = {}
        for task, values in predictions.items():
            column = np.asarray(values, np.float64)
            calibrated[task] = self.calibrators[task].of_array(column) if task in self.calibrators else column
        return self._chosen(calibrated)

    def _chosen(self, values: Mapping[str, Any]) -> dict[str, Any]:
        answered = {name: values[name] for name in self.outputs}
        return answered | {name: score.value(values) for name, score in self.scores.items()}
