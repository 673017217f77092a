"""A task with several classes: softmax cross-entropy, accuracy."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.metrics import class_log_loss, macro_auc
from tfmtl.metrics.class_metrics import class_rows
from tfmtl.metrics.task_report import without_nan
from tfmtl.schema import ModelInputs, MulticlassTask
from tfmtl.tasks.class_behavior import ClassBehavior
from tfmtl.tasks.task_behavior import Floats, Report


class MulticlassBehavior(ClassBehavior[MulticlassTask]):
    """The behavior of a `MulticlassTask`; labels are class indices from 0."""

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.multiclass_head import MulticlassHead

        return MulticlassHead(self.shares(inputs), dtype=policy, name=f"head_{self.record.name}")

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.losses import masked_softmax_cross_entropy

        return masked_softmax_cross_entropy(labels[""], raw, weights)

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        probabilities = head.predictions(raw)
        return {"": probabilities[:, self.record.score_index], "probabilities": probabilities}

    def class_scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["probabilities"]

    def running_metric(self) -> keras.metrics.Metric:
        from tfmtl.metrics import MaskedMean

        return MaskedMean("up", name="accuracy")

    def update_metric(
        self, metric: Any, labels: Mapping[str, Tensor], outputs: Mapping[str, Tensor], weights: Tensor | None
    ) -> None:
        chosen = tf.cast(tf.argmax(outputs["probabilities"], axis=1), tf.float32)
        metric.update_state(self.known(labels), tf.cast(chosen == labels[""], tf.float32), sample_weight=weights)

    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        columns = (labels[""], outputs["probabilities"], weights)
        rows = class_rows("multiclass", *columns)
        right = rows.predictions.argmax(axis=1) == rows.labels
        report: Report = {"log_loss": class_log_loss(*columns), "macro_auc": macro_auc(*columns)}
        report["accuracy"] = rows.mean(right)
        return without_nan(report) | {"examples": len(rows.labels), "missing_labels": int(np.sum(~rows.present))}

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        shares = self.shares(inputs)
        return {"": shares[self.record.score_index], "probabilities": shares}

    def leak_target(self, labels: Mapping[str, Floats]) -> Floats | None:
        known = ~np.isnan(labels[""])
        if not known.any():
            return None
        commonest = np.bincount(labels[""][known].astype(int)).argmax()
        return np.where(known, (labels[""] == commonest).astype(np.float32), np.float32(np.nan))
