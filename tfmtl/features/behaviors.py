"""Find the behaviors of a problem's features; derive the features that have no inputs together."""

from collections.abc import Iterable

import tensorflow as tf

from tfmtl.features.feature_behavior import FeatureBehavior
from tfmtl.features.measures import Measure, encode_measures
from tfmtl.features.request_view import RequestView
from tfmtl.schema import FeatureRecord, Problem
from tfmtl.schema.registry import FEATURES, load_plugins


def behavior_of(record: FeatureRecord, problem: Problem) -> FeatureBehavior:
    """The behavior of a feature of the problem."""
    load_plugins(problem.plugins)  # a worker has unpickled the problem and never read its file
    made: FeatureBehavior = FEATURES.behavior(record.kind)(record, problem)
    return made


def derive_together(behaviors: Iterable[FeatureBehavior], view: RequestView) -> dict[str, tf.Tensor]:
    """Encoded key -> `(N,)` or `(1,)` of all these features without inputs, whose numbers are encoded together."""
    measures: dict[str, Measure] = {}
    found: dict[str, tf.Tensor] = {}
    for each in behaviors:
        own = each.measure(view)
        measures |= own
        found |= {} if own else each.derive(view)
    return found | encode_measures(measures)
