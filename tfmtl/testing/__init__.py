"""Checks for your own layers, balancers and kinds of tasks: do they satisfy what a model relies on."""

from tfmtl.testing.balancer import check_balancer
from tfmtl.testing.bottom import check_bottom_layer
from tfmtl.testing.feature_kind import check_feature_kind
from tfmtl.testing.sharing import check_sharing_layer
from tfmtl.testing.task_kind import check_task_kind

__all__ = ["check_balancer", "check_bottom_layer", "check_feature_kind", "check_sharing_layer", "check_task_kind"]
