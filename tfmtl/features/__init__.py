"""What is done about each kind of feature: one behavior a kind, named in the registry beside its record."""

from tfmtl.features.behaviors import behavior_of
from tfmtl.features.feature_behavior import FeatureBehavior, FeatureState
from tfmtl.features.request_view import RequestView

__all__ = ["FeatureBehavior", "FeatureState", "RequestView", "behavior_of"]
