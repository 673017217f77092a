"""A task that predicts quantiles: pinball loss."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.metrics import coverage, pinball_loss
from tfmtl.metrics.quantile_metrics import quantile_rows
from tfmtl.metrics.task_report import without_nan
from tfmtl.schema import ModelInputs, QuantileTask
from tfmtl.tasks.task_behavior import Floats, Report, TaskBehavior


class QuantileBehavior(TaskBehavior[QuantileTask]):
    """The behavior of a `QuantileTask`."""

    def fit_labels(self, counts: pa.Table | None) -> dict[str, Any]:
        if counts is None or not counts.num_rows:
            return {}
        ordered = counts.sort_by("value")
        values, weights = ordered["value"].to_numpy().astype(np.float64), ordered["count"].to_numpy()
        places = np.searchsorted(np.cumsum(weights), np.asarray(self.record.quantiles) * weights.sum())
        return {"quantiles": [float(value) for value in values[np.minimum(places, len(values) - 1)]]}

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.quantile_head import QuantileHead

        name = self.record.name
        deviation = inputs.label_deviations[name] or 1.0  # a constant label has nothing to scale
        starts = self.constant(inputs)["quantiles"]
        return QuantileHead(starts, prior, deviation, dtype=policy, name=f"head_{name}")

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.losses import masked_pinball_loss

        scaled = (labels[""] - head.mean) / head.standard_deviation
        return masked_pinball_loss(scaled, raw, self.record.quantiles, weights)

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        quantiles = head.predictions(raw)
        return {"": quantiles[:, self.record.score_index], "quantiles": quantiles}

    def running_metric(self) -> keras.metrics.Metric:
        from tfmtl.metrics import MaskedMean

        return MaskedMean(name="pinball")

    def update_metric(
        self, metric: Any, labels: Mapping[str, Tensor], outputs: Mapping[str, Tensor], weights: Tensor | None
    ) -> None:
        levels = tf.constant(self.record.quantiles, tf.float32)
        errors = labels[""][:, None] - outputs["quantiles"]
        losses = tf.reduce_mean(tf.maximum(levels * errors, (levels - 1.0) * errors), axis=1)
        metric.update_state(self.known(labels), losses, sample_weight=weights)

    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        levels = self.record.quantiles
        columns = (labels[""], outputs["quantiles"], levels, weights)
        rows = quantile_rows("quantile", *columns)
        report: Report = {"pinball": pinball_loss(*columns)}
        for level, share in zip(levels, coverage(*columns), strict=True):
            report[f"coverage_{level:g}"] = share
        return without_nan(report) | {"examples": len(rows.labels), "missing_labels": int(np.sum(~rows.present))}

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        levels = self.record.quantiles
        state = inputs.task_state.get(self.record.name, {})
        found = state.get("quantiles", [inputs.label_means[self.record.name]] * len(levels))
        return {"": found[self.record.score_index], "quantiles": list(found)}
