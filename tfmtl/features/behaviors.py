"""Find the behavior of a feature of the problem file."""

from tfmtl.features.feature_behavior import FeatureBehavior
from tfmtl.schema import FeatureRecord, Problem
from tfmtl.schema.registry import FEATURES, load_plugins


def behavior_of(record: FeatureRecord, problem: Problem) -> FeatureBehavior:
    """The behavior of a feature of the problem."""
    load_plugins(problem.plugins)  # a worker has unpickled the problem and never read its file
    made: FeatureBehavior = FEATURES.behavior(record.kind)(record, problem)
    return made
