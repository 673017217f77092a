"""A task whose classes have an order: cumulative logits, mean absolute error of the expected value."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.metrics import class_log_loss, mae
from tfmtl.metrics._labeled_rows import regression_rows
from tfmtl.metrics.task_report import means_and_counts, without_nan
from tfmtl.schema import ModelInputs, OrdinalTask
from tfmtl.tasks.class_behavior import ClassBehavior
from tfmtl.tasks.task_behavior import Floats, Report


class OrdinalBehavior(ClassBehavior[OrdinalTask]):
    """The behavior of an `OrdinalTask`; labels are class indices from 0."""

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.ordinal_head import OrdinalHead

        return OrdinalHead(self.shares(inputs), dtype=policy, name=f"head_{self.record.name}")

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.losses import masked_cumulative_logit_loss

        return masked_cumulative_logit_loss(labels[""], raw, weights)

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        probabilities = head.predictions(raw)
        values = tf.constant(self.record.class_values, tf.float32)
        return {"": tf.reduce_sum(probabilities * values, axis=1), "probabilities": probabilities}

    def running_metric(self) -> keras.metrics.Metric:
        from tfmtl.metrics import MaskedMean

        return MaskedMean(name="mae")

    def update_metric(
        self, metric: Any, labels: Mapping[str, Tensor], outputs: Mapping[str, Tensor], weights: Tensor | None
    ) -> None:
        known = self.known(labels)
        places = tf.cast(tf.where(known, labels[""], 0.0), tf.int32)
        values = tf.gather(tf.constant(self.record.class_values, tf.float32), places)
        metric.update_state(known, tf.abs(values - outputs[""]), sample_weight=weights)

    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        places = labels[""]
        known = ~np.isnan(places)
        values = np.asarray(self.record.class_values)[np.where(known, places, 0).astype(int)]
        columns = (np.where(known, values, np.nan), outputs[""], weights)
        report: Report = {"mae": mae(*columns), "log_loss": class_log_loss(places, outputs["probabilities"], weights)}
        return without_nan(report | means_and_counts(regression_rows("ordinal", *columns)))

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        shares = self.shares(inputs)
        return {"": float(np.dot(shares, self.record.class_values)), "probabilities": shares}
