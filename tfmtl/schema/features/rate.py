"""The mean label that a value had before, such as the click rate of an item."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum, did_you_mean
from tfmtl.schema.features.derived import check_derived_name
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.features.fixed_scales import ENTERS, derived_tensors
from tfmtl.schema.features.time_part import check_time_zone
from tfmtl.schema.forms import EncodedTensor
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem


@dataclass(frozen=True)
class RateFeature(FeatureRecord):
    """The smoothed mean of the training labels that a value of a feature had, point in time.

    Its only field is called as the feature. An example of the training split reads the days before its own; all other
    examples, and requests, read the whole training split. Of a log without times it reads the other four of five folds.
    It is `(sum + prior * mean) / (labels + prior)`, with the mean of the training split. A share of yes/no labels
    enters as the difference of its log odds and those of the mean, a mean of numbers as its difference from the mean of
    all; such labels are summed in steps of 1/65,536. Values are compared as they came, rare ones too.

    Args:
        of: str. A feature with one value.
        task: str. A yes/no task, or one of numbers whose mean is predicted, with the label in the row.
        name: str. Defaults to `""`: `<of>_<task>_rate`.
        prior: float. Labels that the mean counts beside those of the value; the larger, the more labels it takes to
            differ from the mean. Defaults to `20.0`.
        known_after: int or None. Whole days after a row's day until its label is known. Needed with `keys.time` unless
            the task is `known_at_event`. Defaults to `None`: 0.
        time_zone: str. Whose days are counted. Defaults to `"UTC"`.
        dim: int. Width of the buckets' table. Defaults to `16`.
        enters: `"twice"`, as the id of a bucket and as a number; or `"once"`, as a number alone, -5 where the value is
            missing. Defaults to `"twice"`.
    """

    kind: ClassVar[str] = "rate"
    reads_labels: ClassVar[bool] = True

    of: str
    task: str
    name: str = ""
    prior: float = 20.0
    known_after: int | None = None
    time_zone: str = "UTC"
    dim: int = 16
    enters: Annotated[str, ENTERS] = "twice"

    def __post_init__(self) -> None:
        check_types("RateFeature", self)
        object.__setattr__(self, "name", self.name or f"{self.of}_{self.task}_rate")
        check_derived_name(self)
        owner = f"RateFeature '{self.name}'"
        check_minimum(owner, "dim", self.dim, 1)
        check_choice(owner, "enters", self.enters, ENTERS)
        if self.known_after is not None:
            check_minimum(owner, "known_after", self.known_after, 0)
        if not 0.0 < self.prior < math.inf:
            raise ProblemError(
                f"{owner}: `prior` must be positive and finite. Received: prior={self.prior!r}. Without it, a value "
                "with one label would have a rate of 0 or 1."
            )
        check_time_zone(owner, self.time_zone)

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def days_until_known(self) -> int:
        """`known_after`, 0 where it is left out."""
        return self.known_after or 0

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        sides = [each.side for feature in problem.features if feature.name == self.of for each in feature.inputs()]
        side = sides[0] if sides else "context"
        return derived_tensors(self.enters, self.name, self.scale(problem), self.dim, side)

    def scale(self, problem: Problem) -> str:
        """How its number is encoded: the odds of a yes/no task, any number of a task of numbers."""
        is_share = any(task.name == self.task and task.can_be_parent for task in problem.tasks)
        return "odds" if is_share else "signed"

    def check(self, problem: Problem) -> None:
        owner = f"Problem: feature '{self.name}' of kind rate"
        known = [each.name for each in problem.features if [given.inner for given in each.inputs()] == [()]]
        if self.of not in known:
            raise ProblemError(
                f"{owner} is `of` '{self.of}', which must be a feature with one value. There are: {known}."
                f"{did_you_mean(self.of, known)}"
            )
        tasks = {task.name: task for task in problem.tasks if task.can_be_parent or task.predicts_mean}
        if self.task not in tasks:
            raise ProblemError(
                f"{owner} names task '{self.task}', which must be of yes and no or of numbers. There are: {[*tasks]}."
                f"{did_you_mean(self.task, tasks)}"
            )
        if tasks[self.task].late_window is not None:
            raise ProblemError(
                f"{owner} must not be of task '{self.task}', whose `label_window` is joined only after everything is "
                "fitted. Use a task whose label stands in the row, or write the label into a column."
            )
        if problem.keys.time is None and (self.known_after is not None or self.time_zone != "UTC"):
            raise ProblemError(
                f"{owner} has no days without `keys.time`. Received: known_after={self.known_after!r}, "
                f"time_zone={self.time_zone!r}. Leave both out."
            )
        if problem.keys.time is not None and self.known_after is None and not tasks[self.task].known_at_event:
            raise ProblemError(
                f"{owner} must say when the label of task '{self.task}' is known: `known_after: 0` if on the row's own "
                "day, 7 if a week later. Or write `known_at_event: true` into the task."
            )
