"""The outputs of an exported model: tasks, calibrated or not, and score formulas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.export.calibration.calibrate import calibrated
from tfmtl.export.calibration.calibrator import Calibrator
from tfmtl.export.score import Score
from tfmtl.schema import Output, TaskRecord
from tfmtl.schema.reserved import JOINT


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

    def calibrated_by(self, name: str) -> str | None:
        """The method that calibrates an output, None if nothing does."""
        calibrator = self.calibrators.get(name.partition(JOINT)[0])
        return calibrator.method if calibrator is not None and name in self.outputs else None

    def calibrated_tensors(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The predictions of all tasks of the model, calibrated."""
        return calibrated(self.calibrators, predictions, in_graph=True)

    def of_tensors(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Output name -> float32 `(B, *inner)`, of the predictions of all tasks of the model."""
        return self._chosen(self.calibrated_tensors(predictions))

    def of_arrays(self, predictions: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[np.float64]]:
        """The same in NumPy and float64."""
        columns = {name: np.asarray(values, np.float64) for name, values in predictions.items()}
        return self._chosen(calibrated(self.calibrators, columns, in_graph=False))

    def _chosen(self, values: Mapping[str, Any]) -> dict[str, Any]:
        answered = {name: values[name] for name in self.outputs}
        return answered | {name: score.value(values) for name, score in self.scores.items()}
