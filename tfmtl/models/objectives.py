"""Each kind of task: its head, its loss on raw outputs, its running metric."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from tfmtl.core.types import Tensor
from tfmtl.layers.heads.binary_head import BinaryHead
from tfmtl.layers.heads.regression_head import RegressionHead
from tfmtl.losses import masked_binary_cross_entropy, masked_squared_error
from tfmtl.metrics.histogram_auc import HistogramAUC
from tfmtl.metrics.masked_rmse import MaskedRMSE
from tfmtl.schema import ModelInputs

_LEAST_PRIOR = 1e-4


@dataclass(frozen=True)
class Objective:
    """How a kind of task is predicted, trained and watched.

    Args:
        head: `(inputs, task name, mean label, dtype policy) -> layer`, from the facts fitted on the training split.
        loss: `(head, labels, raw head output, weights) -> scalar`.
        metric: makes the running metric.
    """

    head: Callable[[ModelInputs, str, float, Any], keras.layers.Layer]
    loss: Callable[[Any, Tensor, Tensor, Tensor | None], Tensor]
    metric: Callable[[], keras.metrics.Metric]


def _binary_head(inputs: ModelInputs, task: str, mean: float, policy: Any) -> keras.layers.Layer:
    prior = min(max(mean, _LEAST_PRIOR), 1.0 - _LEAST_PRIOR)
    return BinaryHead(prior=prior, dtype=policy, name=f"head_{task}")


def _binary_loss(head: BinaryHead, labels: Tensor, raw: Tensor, weights: Tensor | None) -> Tensor:
    return masked_binary_cross_entropy(labels, raw, weights)


def _regression_head(inputs: ModelInputs, task: str, mean: float, policy: Any) -> keras.layers.Layer:
    deviation = inputs.label_deviations[task] or 1.0  # a constant label has nothing to scale
    return RegressionHead(mean=mean, standard_deviation=deviation, dtype=policy, name=f"head_{task}")


def _regression_loss(head: RegressionHead, labels: Tensor, raw: Tensor, weights: Tensor | None) -> Tensor:
    return masked_squared_error((labels - head.mean) / head.standard_deviation, raw, weights)


OBJECTIVES = {
    "binary": Objective(_binary_head, _binary_loss, HistogramAUC),
    "regression": Objective(_regression_head, _regression_loss, MaskedRMSE),
}
