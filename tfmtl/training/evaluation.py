"""What an evaluation found."""

from collections.abc import Mapping
from typing import Any

from tfmtl.display import Displayed, Page
from tfmtl.display.metrics_page import metrics_page


class Evaluation(Displayed, dict[str, dict[str, Any]]):
    """Metrics by task, as `tfmtl evaluate` prints them.

    Args:
        report: task -> metric -> value.
        model: str. The model's name.
        title: str. Of the table.

    Example:

    >>> Evaluation({"click": {"auc": 0.71}}, "dtrn", "shop, test split")["click"]["auc"]
    0.71
    """

    def __init__(self, report: Mapping[str, dict[str, Any]], model: str, title: str) -> None:
        super().__init__(report)
        self._model = model
        self._title = title

    def page(self) -> Page:
        """A row per task, and one for what a constant scores."""
        return metrics_page({self._model: self}, self._title)
