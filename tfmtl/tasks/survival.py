"""A task with a lifetime as its label: a survival curve from one of several models."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.metrics.survival import harrell_index
from tfmtl.schema import ModelInputs
from tfmtl.schema.tasks.survival import UNITS, SurvivalTask
from tfmtl.survival import breslow_baseline
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.signature import Signature
from tfmtl.tasks.survival_curves import constant_survival, times_of
from tfmtl.tasks.survival_labels import read_survival_labels, settle_survival_labels
from tfmtl.tasks.survival_report import survival_ends, survival_report
from tfmtl.tasks.survival_signatures import survival_signatures
from tfmtl.tasks.survival_state import fit_survival_state, survival_warnings
from tfmtl.tasks.task_behavior import Floats, Report, TaskBehavior

if TYPE_CHECKING:
    import keras

_DENSITIES = ("piecewise_hazard", "aft")  # models whose likelihood of a known time is a density


class SurvivalBehavior(TaskBehavior[SurvivalTask]):
    """The behavior of a `SurvivalTask`."""

    state: Mapping[str, Any] | None = None

    def fitted(self, inputs: ModelInputs) -> SurvivalBehavior:
        other = copy.copy(self)
        other.state = inputs.task_state[self.record.name]
        return other

    # === Reading labels ===

    def read_labels(self, raw: LabelColumns) -> dict[str, pa.Array]:
        return read_survival_labels(self.record, raw)

    def settle_labels(
        self, labels: dict[str, Floats], times: npt.NDArray[np.int64], until: npt.NDArray[np.int64], ticks: int
    ) -> dict[str, Floats]:
        if self.record.unit is None:
            return labels
        return settle_survival_labels(labels, (until - times) / (ticks * UNITS[self.record.unit]))

    def fit_labels(self, counts: pa.Table | None) -> dict[str, Any]:
        return fit_survival_state(self.record, counts)

    def label_facts(self, state: Mapping[str, Any]) -> dict[str, Any]:
        rows = state["rows"]
        shown = ("asked", "edges", "events", "at_risk", "events_total", "rows", "at_time_0", "median_follow_up")
        return {**{name: state[name] for name in shown}, "censored_share": 1.0 - state["events_total"] / rows}

    def label_warnings(self, state: Mapping[str, Any]) -> list[str]:
        return survival_warnings(self.record, state)

    # === The network ===

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.survival_head import SurvivalHead

        record, state = self.record, inputs.task_state[self.record.name]
        return SurvivalHead(
            edges=state["edges"],
            hazards=state["hazards"],
            model=record.model,
            interpolation=record.interpolation,  # type: ignore[arg-type]
            num_causes=max(len(record.causes), 1),
            distribution=record.distribution,  # type: ignore[arg-type]
            shapes=None if record.shapes is None else min(record.shapes, len(state["edges"])),
            dtype=policy,
            name=f"head_{record.name}",
        )

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.tasks.survival_loss import survival_loss

        return survival_loss(self.record, head, labels, raw, weights)

    @property
    def loss_is_density(self) -> bool:
        return self.record.model in _DENSITIES

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        answers = head.predictions(raw)
        incidence = answers.pop("incidence", None)
        return {**answers, **{f"cif_{cause}": incidence[:, :, k] for k, cause in enumerate(self.record.causes)}}

    def disagreement(self, head: Any, raw: Tensor, other: Any, other_head: Any, other_raw: Tensor) -> Tensor | None:
        """Squared difference of the two survivals at the end of the shorter horizon, of tasks with the same columns."""
        from tfmtl.losses.survival.consistency import squared_difference

        label = self.record.time, self.record.event
        if not isinstance(other, SurvivalBehavior) or (other.record.time, other.record.event) != label:
            return None
        end = min(head.edges[-1], other_head.edges[-1])
        pair = ((head, raw), (other_head, other_raw))
        return squared_difference(
            *(
                of.survival_at(some, tf.fill([tf.shape(some)[0], 1], end), tf.zeros(tf.shape(some)[:1]))
                for of, some in pair
            )
        )

    def signatures(self) -> dict[str, Signature]:
        return survival_signatures(self.record)

    def after_training(
        self, head: Any, raw: Floats, labels: Mapping[str, Floats], weights: Floats | None = None
    ) -> None:
        known = ~np.isnan(labels[""])
        curve = breslow_baseline(
            labels[""][known],
            labels["event"][known],
            raw[known],
            entries=labels["entry"][known] if "entry" in labels else None,
            weights=None if weights is None else weights[known],
        )
        head.set_baseline(curve.at(head.edges))

    # === Measuring ===

    def running_metric(self) -> keras.metrics.Metric:
        import keras

        return keras.metrics.Mean(name="nll")

    def update_metric(
        self, metric: Any, labels: Mapping[str, Tensor], outputs: Mapping[str, Tensor], weights: Tensor | None
    ) -> None:
        from tfmtl.losses.survival.grid_likelihood import grid_losses

        assert self.state is not None  # a model's behaviors are fitted
        known = tf.logical_not(tf.math.is_nan(labels[""]))
        times, events = tf.where(known, labels[""], 1.0), tf.where(known, labels["event"], 0.0)
        entries = labels.get("entry")
        rows = tf.cast(known, tf.float32)
        shares = rows if weights is None else rows * tf.where(known, weights, 0.0)
        metric.update_state(
            grid_losses(times, events, outputs["hazard"], self.state["edges"], entries), sample_weight=shares
        )

    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        assert self.state is not None
        return survival_report(self.record, self.state, labels, outputs)

    def metric_ends(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> dict[str, tuple[float, float]]:
        assert self.state is not None
        return survival_ends(self.record, self.state, labels, outputs)

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        return constant_survival(self.record, inputs.task_state[self.record.name])

    def leak_target(self, labels: Mapping[str, Floats]) -> Floats | None:
        """Whether a row lived longer than half of those that ended; unknown where it was censored before."""
        times, events = labels[""], labels["event"]
        ended = events == 1
        if not ended.any():
            return None
        middle = np.median(times[ended])
        over = np.where(ended & (times <= middle), np.float32(0.0), np.float32(np.nan))
        return np.where(times > middle, np.float32(1.0), over)

    leak_measure: ClassVar[str] = "c-index"
    leak_threshold: ClassVar[float] = 0.85  # whole models rarely reach it; what grows with the lifetime does

    def leak_index(self, labels: Mapping[str, Floats], scores: Floats) -> float | None:
        known = ~np.isnan(labels[""])
        times, events = times_of(labels, known)
        if len(np.unique(times[events == 1])) < 2:  # no pair to compare
            return None
        return float(harrell_index(times, events, -scores[known].astype(np.float64)))

    def label_counts(self, labels: Mapping[str, Floats]) -> dict[str, float]:
        ended = labels["event"] == 1
        return {**super().label_counts(labels), "events": int(ended.sum())}
