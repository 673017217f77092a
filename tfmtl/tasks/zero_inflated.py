"""A task that predicts an amount that is often 0: a zero-inflated log-normal likelihood."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.core.types import Tensor
from tfmtl.metrics import normalized_gini, rmse
from tfmtl.metrics._labeled_rows import regression_rows
from tfmtl.metrics.task_report import means_and_counts, without_nan
from tfmtl.schema import ModelInputs, ZeroInflatedTask
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.task_behavior import Floats, Report, TaskBehavior

_LEAST_SHARE = 1e-4
_LEAST_DEVIATION = 1e-2


class ZeroInflatedBehavior(TaskBehavior[ZeroInflatedTask]):
    """What is done about a `ZeroInflatedTask`."""

    def read_labels(self, raw: LabelColumns) -> dict[str, pa.Array]:
        name = str(self.record.label_column)
        numbers = raw.number(name)
        labels = pc.cast(numbers, pa.float32(), safe=False)
        bad = pc.or_(pc.less(numbers, 0.0), pc.is_inf(labels))
        raw.reject(bad, f"label '{name}' is not a finite number of at least 0", numbers)
        return {"": labels}

    def fit_labels(self, counts: pa.Table | None) -> dict[str, Any]:
        if counts is None or not counts.num_rows:
            return {}
        # In the order of the values: whatever order the counts came in, the sums have the same bits.
        ordered = counts.sort_by("value")
        values, weights = ordered["value"].to_numpy().astype(np.float64), ordered["count"].to_numpy()
        is_amount = values > 0.0
        amounts, above = np.log(values[is_amount]), weights[is_amount]
        if not above.sum():
            return {"share": 0.0, "log_mean": 0.0, "log_deviation": 1.0}
        mean = math.fsum(amounts * above) / int(above.sum())
        variance = math.fsum((amounts - mean) ** 2 * above) / int(above.sum())
        return {"share": float(above.sum() / weights.sum()), "log_mean": mean, "log_deviation": math.sqrt(variance)}

    def head(self, inputs: ModelInputs, prior: float, policy: Any) -> keras.layers.Layer:
        from tfmtl.layers.heads.zero_inflated_head import ZeroInflatedHead

        share, mean, deviation = self._facts(inputs)
        return ZeroInflatedHead(share, mean, deviation, dtype=policy, name=f"head_{self.record.name}")

    def loss(self, head: Any, labels: Mapping[str, Tensor], raw: Tensor, weights: Tensor | None) -> Tensor:
        from tfmtl.losses import masked_zero_inflated_lognormal

        return masked_zero_inflated_lognormal(labels[""], raw, weights)

    @property
    def loss_is_density(self) -> bool:
        return True

    def predict(self, head: Any, raw: Tensor) -> dict[str, Tensor]:
        return {"": head.predictions(raw), "positive": head.probability(raw), "amount": head.amount(raw)}

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
        columns = (labels[""], outputs[""], weights)
        report: Report = {"rmse": rmse(*columns), "normalized_gini": normalized_gini(*columns)}
        return without_nan(report | means_and_counts(regression_rows("zero_inflated", *columns)))

    def constant(self, inputs: ModelInputs) -> dict[str, Any]:
        share, mean, deviation = self._facts(inputs)
        overall = inputs.label_means[self.record.name]
        return {"": overall, "positive": share, "amount": math.exp(mean + deviation * deviation / 2.0)}

    def leak_target(self, labels: Mapping[str, Floats]) -> Floats | None:
        known = ~np.isnan(labels[""])
        return np.where(known, (labels[""] > 0.0).astype(np.float32), np.float32(np.nan))

    def _facts(self, inputs: ModelInputs) -> tuple[float, float, float]:
        """Share of labels above 0, mean and deviation of their logarithms, within what a head can start from."""
        state = inputs.task_state.get(self.record.name, {})
        share = min(max(state.get("share", 0.5), _LEAST_SHARE), 1.0 - _LEAST_SHARE)
        return share, state.get("log_mean", 0.0), max(state.get("log_deviation", 1.0), _LEAST_DEVIATION)
