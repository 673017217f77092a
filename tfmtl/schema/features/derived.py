"""Checks that all derived features share; they read other parts of a request, not a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmtl.schema.checks import check_name, did_you_mean
from tfmtl.schema.problem_error import ProblemError

if TYPE_CHECKING:
    from tfmtl.schema.features.feature_record import FeatureRecord
    from tfmtl.schema.problem import Problem
    from tfmtl.schema.sequence_feature import SequenceFeature


def check_derived_name(feature: FeatureRecord) -> None:
    """Raises unless the name, given or made of others, is plain."""
    check_name(type(feature).__name__, "name", feature.name)


def has_times(problem: Problem, sequence: str) -> bool:
    """Whether it is known when the events of a sequence were; a name that is none is refused elsewhere."""
    return all(each.has_times for each in problem.sequences if each.name == sequence)


def sequence_of(feature: FeatureRecord, problem: Problem, argument: str, name: str) -> SequenceFeature:
    """The sequence that a derived feature names; raises `ProblemError` where there is none."""
    known = {sequence.name: sequence for sequence in problem.sequences}
    if name not in known:
        raise ProblemError(
            f"Problem: feature '{feature.name}' of kind {feature.kind} names '{name}' in `{argument}`, which is not a "
            f"sequence. Known sequences: {list(known)}.{did_you_mean(name, known)}"
        )
    return known[name]
