"""A task that predicts the mean of a number: squared error in standard deviations."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy.typing as npt

from tfmtl.core.types import Tensor
from tfmtl.schema import ModelInputs, RegressionTask
from tfmtl.tasks.task_behavior import Floats, Report, TaskBehavior


class RegressionBehavior(TaskBehavior[RegressionTask]):
    """The behavior of a `RegressionTask`."""

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.regression_head import RegressionHead

        name = self.record.name
        deviation = inputs.label_deviations[name] or 1.0  # a constant label has nothing to scale
        return RegressionHead(mean=prior, standard_deviation=deviation, dtype=policy, name=f"head_{name}")

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.losses import masked_squared_error

        return masked_squared_error((labels[""] - head.mean) / head.standard_deviation, raw, weights)

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        return {"": head.predictions(raw)}

    def running_metric(self) -> keras.metrics.Metric:
        from tfmtl.metrics import MaskedRMSE

        return MaskedRMSE()

    def exact_metrics(
        self,
        labels: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
        groups: npt.NDArray[Any] | None = None,
        weights: Floats | None = None,
    ) -> Report:
        from tfmtl.metrics import regression_report

        return regression_report(labels[""], outputs[""], weights)

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        return {"": inputs.label_means[self.record.name]}
