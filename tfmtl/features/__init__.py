"""The behaviors of features: one class per kind, named in the registry next to its record."""

from tfmtl.features.behaviors import behavior_of
from tfmtl.features.feature_behavior import FeatureBehavior, FeatureState
from tfmtl.features.request_view import RequestView

__all__ = ["FeatureBehavior", "FeatureState", "RequestView", "behavior_of"]
