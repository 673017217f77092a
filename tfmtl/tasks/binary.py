"""A yes/no task: a logit, cross-entropy, AUC."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.schema import BinaryTask, ModelInputs
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.task_behavior import Floats, Report, TaskBehavior

_LEAST_PRIOR = 1e-4


class BinaryBehavior(TaskBehavior[BinaryTask]):
    """The behavior of a `BinaryTask`."""

    def read_labels(self, raw: LabelColumns) -> dict[str, pa.Array]:
        name = str(self.record.label_column)
        if self.record.positive is not None:
            raw.notice_texts(f"label_text/{self.record.name}", name)
            return {"": pc.cast(pc.equal(raw.text(name), self.record.positive), pa.float32())}
        numbers = raw.number(name)
        bad = pc.invert(pc.is_in(numbers, pa.array([0.0, 1.0, None])))
        raw.reject(bad, f"label '{name}' is neither 0 nor 1", numbers)
        return {"": pc.cast(numbers, pa.float32(), safe=False)}

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.binary_head import BinaryHead

        return BinaryHead(prior=_inside(prior), dtype=policy, name=f"head_{self.record.name}")

    def smooth_labels(self, labels: Mapping[str, Tensor], share: float, mean: float) -> Mapping[str, Tensor]:
        # Towards the mean, not 1/2, so that predictions keep their mean.
        return {**labels, "": (1.0 - share) * labels[""] + share * mean}

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.losses import masked_binary_cross_entropy

        return masked_binary_cross_entropy(labels[""], raw, weights)

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        return {"": head.predictions(raw)}

    def class_scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return tf.stack((1.0 - outputs[""], outputs[""]), axis=1)

    def running_metric(self) -> keras.metrics.Metric:
        from tfmtl.metrics import HistogramAUC

        return HistogramAUC()

    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        from tfmtl.metrics import binary_report

        return binary_report(labels[""], outputs[""], groups, weights)

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        return {"": _inside(inputs.label_means[self.record.name])}

    def leak_target(self, labels: Mapping[str, Floats]) -> Floats | None:
        return np.asarray(labels[""])


def _inside(prior: float) -> float:
    """The prior, kept away from 0 and 1, whose logits are infinite."""
    return min(max(prior, _LEAST_PRIOR), 1.0 - _LEAST_PRIOR)
