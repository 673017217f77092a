"""What every kind of task does."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.schema import ModelInputs, TaskRecord
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.signature import Signature

Record = TypeVar("Record", bound=TaskRecord)
Report: TypeAlias = dict[str, float | int | None]
Floats: TypeAlias = npt.NDArray[Any]


class TaskBehavior(ABC, Generic[Record]):
    """What is done about one task of a problem; subclasses are one kind each.

    A kind overrides what it needs: every method that is not abstract has a default that is right for one number per
    row. Labels are float32 `(B,)` by part of the label, `""` the part that is NaN where there is none; outputs are
    float32 by suffix, `""` the score `(B,)`.

    Layers, losses and metrics are imported where they are used: who reads labels or asks an export needs none of them.

    Shapes: B batch, N rows, H hidden width, K numbers that the head puts out a row.

    Args:
        record: the task.
    """

    def __init__(self, record: Record) -> None:
        self.record = record

    def fitted(self, inputs: ModelInputs) -> Self:
        """The behavior with what `fit_labels` found, for metrics that need it. Defaults to itself.

        Args:
            inputs: `ModelInputs`.
        """
        return self

    # === Reading labels: Arrow and NumPy, in preprocessing's workers ===

    def read_labels(self, raw: LabelColumns) -> dict[str, pa.Array]:
        """Part of the label -> float32, null where missing; a row whose label cannot be read is rejected.

        Defaults to one finite number. Not called for a label that later events tell.
        """
        name = str(self.record.label_column)
        numbers = raw.number(name)
        labels = pc.cast(numbers, pa.float32(), safe=False)
        raw.reject(pc.is_inf(labels), f"label '{name}' is not finite in float32", numbers)
        return {"": labels}

    def settle_labels(
        self, labels: dict[str, Floats], times: npt.NDArray[np.int64], until: npt.NDArray[np.int64], ticks: int
    ) -> dict[str, Floats]:
        """What may be known of the labels in a row's split. Called where the record `needs_known_until`.

        Args:
            labels: part -> `(N,)`, NaN where missing.
            times: `(N,)`, of the rows.
            until: `(N,)`, the newest time that a label of the row's split may know.
            ticks: units of time per second.
        """
        return labels

    def fit_labels(self, counts: pa.Table | None) -> dict[str, Any]:
        """What the model has to know of the training labels, ready for JSON; goes to `ModelInputs.task_state`.

        Defaults to nothing: mean and standard deviation are known of every task.

        Args:
            counts: the different labels among the training examples, at 16 significant bits, in any order: `value`,
                a column for each further part that the record counts, and `count`. None where there are none.
        """
        return {}

    def label_facts(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """What the manifest says of the fitted `state`, ready for JSON. Defaults to nothing."""
        return {}

    def label_warnings(self, state: Mapping[str, Any]) -> list[str]:
        """Sentences on what is doubtful in the fitted `state`. Defaults to none."""
        return []

    # === The network ===

    @abstractmethod
    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        """The layer `(B, H)` -> float32 `(B,)` or `(B, K)`, also under mixed precision.

        It starts at what a constant would answer, and holds all that `predict` needs in its config.

        Args:
            inputs: `ModelInputs`.
            prior: float. Mean of the labels; of a step in a chain, of those whose parent happened.
            policy: the layer's dtype policy.
        """

    def known(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Which rows count, bool `(B,)`. Defaults to those whose primary part is not NaN."""
        return tf.logical_not(tf.math.is_nan(labels[""]))

    def smooth_labels(self, labels: Mapping[str, Tensor], share: float, mean: float) -> Mapping[str, Tensor]:
        """The labels that a training loss reads under label smoothing. Defaults to the labels as they are.

        Args:
            labels: part -> float32 `(B,)`.
            share: float in (0, 1). How far they are drawn towards the mean.
            mean: float. Mean of the labels that the loss reads.
        """
        return labels

    @abstractmethod
    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        """Mean over the known rows by weight, a float32 scalar; other rows have no gradient. XLA compiles it.

        Args:
            head: what `head` returned.
            labels: part -> float32 `(B,)`.
            raw: the head's output.
            weights: `(B,)` or `None`, every row counts once.
        """

    @property
    def loss_is_density(self) -> bool:
        """Whether the loss is that of a density, which may be below 0, so that a quotient of two says nothing.

        Defaults to `False`.
        """
        return False

    @abstractmethod
    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        """Suffix -> float32 `(B, *inner)`, for every output of the record; row by row."""

    def class_scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """`(B, C)` for the record's `class_names`. Called where `serving_method` is `"classify"`.

        Args:
            outputs: suffix -> what is answered, calibrated if it is.
        """
        raise NotImplementedError(f"{type(self).__name__} has no classes.")

    def signatures(self) -> dict[str, Signature]:
        """Signature name -> what an export can be asked beside its outputs. Defaults to nothing."""
        return {}

    def after_training(
        self, head: Any, raw: Floats, labels: Mapping[str, Floats], weights: Floats | None = None
    ) -> None:
        """Sets what a head holds that is computed of the whole training split at once. Called where
        `reads_training_split` of the record. Defaults to nothing.

        Args:
            head: what `head` returned.
            raw: `(N, ...)`, what it puts out for the training rows.
            labels: part -> `(N,)`.
            weights: `(N,)` or `None`.
        """

    # === Watching it train ===

    @abstractmethod
    def running_metric(self) -> keras.metrics.Metric:
        """The metric that the record's `monitor` names; its state is sums, so that replicas add up."""

    def update_metric(
        self, metric: Any, labels: Mapping[str, Tensor], outputs: Mapping[str, Tensor], weights: Tensor | None
    ) -> None:
        """Adds a batch to the running metric. Defaults to primary label and score."""
        metric.update_state(labels[""], outputs[""], sample_weight=weights)

    # === Measuring it: NumPy ===

    @abstractmethod
    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        """Metric -> value, None where it is undefined.

        Args:
            labels: part -> `(N,)`.
            outputs: suffix -> `(N, *inner)`.
            groups: `(N,)` or None. Whose impression a row is.
            weights: `(N,)` or None. How much a row counts.
        """

    def metric_ends(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> dict[str, tuple[float, float]]:
        """Metric of `exact_metrics` -> lower and upper end of its 95 % interval, for kinds that know it by themselves.

        Called once an evaluation, never for rows that are drawn anew or for a constant. Defaults to none.
        """
        return {}

    @abstractmethod
    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        """Suffix -> what a constant would answer that knows the training labels alone, of shape `inner`."""

    def baseline(
        self,
        inputs: ModelInputs,
        labels: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        """The metrics of `constant`: what has to be beaten."""
        rows = len(labels[""])
        outputs = {
            suffix: np.broadcast_to(np.asarray(value, np.float64), (rows, *np.shape(value)))
            for suffix, value in self.constant(inputs).items()
        }
        return self.exact_metrics(labels, outputs, groups, weights)

    def leak_target(self, labels: Mapping[str, Floats]) -> Floats | None:
        """`(N,)`, 1 and 0 and NaN: an event that a feature which holds the label would tell. None: nothing to look for.

        Defaults to a label above the median.
        """
        values = labels[""]
        known = ~np.isnan(values)
        if not known.any():
            return None
        return np.where(known, (values > np.median(values[known])).astype(np.float32), np.float32(np.nan))

    def disagreement(self, head: Any, raw: Tensor, other: Any, other_head: Any, other_raw: Tensor) -> Tensor | None:
        """How far the predictions of two tasks with one label are apart, a penalty `(B,)`, at least 0.

        Defaults to `None`: the labels are not one, or there is nothing that both predict.

        Args:
            head: of this task.
            raw: its raw output.
            other: the other task's behavior.
            other_head: likewise.
            other_raw: likewise.
        """
        return None

    leak_measure: ClassVar[str] = "AUC"
    """What the leak check measures of a single feature: the AUC of `leak_target`, or what `leak_index` returns."""

    leak_threshold: ClassVar[float] = 0.98
    """From which value of it a feature is suspicious."""

    def leak_index(self, labels: Mapping[str, Floats], scores: Floats) -> float | None:
        """How well a feature's scores order the labels: 0.5 not at all, 1 in full, 0 in full the wrong way round.

        What the leak check compares with `leak_threshold`, for kinds whose label is more than the event of
        `leak_target`: name what it is in `leak_measure`. Defaults to `None`; it is not asked while that is `"AUC"`.

        Args:
            labels: part -> `(N,)`, NaN where missing; half of a sample of the training split.
            scores: float64 `(N,)`. The feature's numbers, whose better direction counts; of ids, the share of events
                among the rows of the other half with that id.

        Returns:
            float in [0, 1]; None where no two labels can be compared.
        """
        return None

    def label_counts(self, labels: Mapping[str, Floats]) -> dict[str, float]:
        """What is counted of a split's labels, for the manifest: `labels` and `label_sum`."""
        present = labels[""][~np.isnan(labels[""])]
        return {"labels": len(present), "label_sum": float(present.astype(np.float64).sum())}
