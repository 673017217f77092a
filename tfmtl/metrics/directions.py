"""Which metrics are better the larger they are."""

_LARGER = frozenset(
    ("auc", "gauc", "macro_auc", "accuracy", "normalized_gini", "harrell", "antolini", "uno", "ibs_scaled")
) | {"auc_middle"}
_SMALLER = frozenset(
    ("log_loss", "normalized_entropy", "ece", "rmse", "mae", "pinball", "ibs", "nll", "calibration_error", "brier")
)

_OF_PARTS = ("harrell", "brier", "pinball")  # which kinds measure for each cause or quantile, too


def direction(metric: str, monitor: tuple[str, str] | None = None) -> int:
    """1 if larger is better, -1 if smaller is, 0 where neither is known, as of a mean.

    Args:
        metric: str. A key of an evaluation; `<metric>_<part>`, such as `brier_churn`, is as the metric.
        monitor: the task's, whose kind may have a metric that it alone knows: its name and `"max"` or `"min"`. Defaults
            to `None`.

    Example:

    >>> direction("auc"), direction("log_loss"), direction("brier_churn"), direction("mean_label")
    (1, -1, -1, 0)
    >>> direction("gain", ("gain", "max"))
    1
    """
    if monitor is not None and metric == monitor[0]:
        return 1 if monitor[1] == "max" else -1
    part = metric.split("_")[0]
    for name in (metric, part if part in _OF_PARTS else ""):
        if name in _LARGER:
            return 1
        if name in _SMALLER:
            return -1
    return 0
