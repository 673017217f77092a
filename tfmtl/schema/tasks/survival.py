"""Survival tasks: how long something lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from tfmtl.schema.checks import check_choice, check_column, check_minimum, is_name
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.task_record import TaskRecord

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

MODELS = ("hazard", "piecewise_hazard", "pmf", "mtlr", "deephit", "cox", "aft")
INTERPOLATIONS = ("constant_density", "constant_hazard")
DISTRIBUTIONS = ("normal", "logistic", "extreme")
UNITS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0, "weeks": 604800.0}
_CUTS = ("intervals", "quantiles", "survival_quantiles", "equal")
WITH_SHAPES = ("hazard", "piecewise_hazard")
_OVER_PAIRS = ("cox", "deephit")


@dataclass(frozen=True)
class SurvivalTask(TaskRecord):
    """A task whose label is a lifetime, known in full or in part; the model answers with a survival curve.

    Two columns are the label: until when a row was observed, and whether it ended then. Both empty: no label. One of
    `intervals`, `quantiles`, `survival_quantiles` and `equal` says at which times the model knows its curve; without
    any it is 20 survival quantiles. Further arguments: see `TaskRecord`.

    Args:
        time: str. Column with the time from a row's start until it ended or was last seen, at least 0.
        event: str. Column that is 1 where the row ended at that time, 0 where it was still running.
        unit: str or None. Unit of `time`: `"seconds"`, `"minutes"`, `"hours"`, `"days"` or `"weeks"`. Needed in a split
            by time, where rows that were running when the next split begins are censored there. Defaults to `None`.
        intervals: list of numbers. Right edges of the intervals, ascending; the first starts at 0. Defaults to `()`.
        quantiles: int or None. Number of intervals with equally many events. Defaults to `None`.
        survival_quantiles: int or None. Number of intervals in which the Kaplan-Meier curve falls by equal steps.
            Defaults to `None`.
        equal: int or None. Number of intervals of equal width. Defaults to `None`.
        entry: str or None. Column with the age from which on a row was observed: it would not be in the log had it
            ended before (left truncation). Empty is 0. Defaults to `None`.
        time_upper: str or None. Column with the end of an interval `(time, time_upper]` in which the row ended, where
            the exact time is not known. Defaults to `None`.
        cause: str or None. Column that says why a row ended. Defaults to `None`.
        causes: list of text. The values of `cause`, two or more. Defaults to `()`.
        model: str. `"hazard"`, `"piecewise_hazard"`, `"pmf"`, `"mtlr"`, `"deephit"`, `"cox"` or `"aft"`. Defaults to
            `"hazard"`.
        interpolation: str. `"constant_density"` or `"constant_hazard"`, inside an interval. Defaults to
            `"constant_density"`.
        distribution: str. For `aft`: `"normal"`, `"logistic"` or `"extreme"`. Defaults to `"normal"`.
        midpoint: bool. For `hazard`: whether a row still running counts the interval it was last seen in if it lived
            through half of it. Defaults to `False`.
        shapes: int or None. For `hazard` and `piecewise_hazard`: number of smooth curves over the intervals of which a
            row's difference from the mean curve is made, at most one for each interval; 1 moves the logits of all
            intervals by the same. Few are for few rows, and for order. Defaults to `None`: every interval by itself.
        ranking: float. For `deephit`: weight of the penalty on pairs. Defaults to `0.2`.
    """

    kind: ClassVar[str] = "survival"
    serving_method: ClassVar[str | None] = "regress"
    monitor: ClassVar[tuple[str, str]] = ("nll", "min")
    needs_known_until: ClassVar[bool] = True
    correlates: ClassVar[bool] = False
    has_curve: ClassVar[bool] = True

    time: str = field(kw_only=True)
    event: str = field(kw_only=True)
    unit: Annotated[str | None, tuple(UNITS)] = None
    intervals: tuple[float, ...] = ()
    quantiles: int | None = None
    survival_quantiles: int | None = None
    equal: int | None = None
    entry: str | None = None
    time_upper: str | None = None
    cause: str | None = None
    causes: tuple[str, ...] = ()
    model: Annotated[str, MODELS] = "hazard"
    interpolation: Annotated[str, INTERPOLATIONS] = "constant_density"
    distribution: Annotated[str, DISTRIBUTIONS] = "normal"
    midpoint: bool = False
    shapes: int | None = None
    ranking: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = f"SurvivalTask '{self.name}'"
        for argument in ("time", "event"):
            if not getattr(self, argument):
                raise ProblemError(f"{owner}: `{argument}` must name a column. Received: nothing. Add it.")
        if self.label is not None:
            raise ProblemError(
                f"{owner}: `label` must not be given; `time` and `event` are the label. "
                f"Received: label={self.label!r}. Remove it."
            )
        for argument in ("entry", "time_upper", "cause"):
            check_column(owner, argument, getattr(self, argument))
        check_choice(owner, "model", self.model, MODELS)
        check_choice(owner, "interpolation", self.interpolation, INTERPOLATIONS)
        check_choice(owner, "distribution", self.distribution, DISTRIBUTIONS)
        if self.unit is not None:
            check_choice(owner, "unit", self.unit, UNITS)
        if not 0.0 <= self.ranking < math.inf:
            raise ProblemError(f"{owner}: `ranking` must be at least 0. Received: ranking={self.ranking!r}.")
        if self.shapes is not None:
            check_minimum(owner, "shapes", self.shapes, 1)
            if self.model not in WITH_SHAPES:
                raise ProblemError(
                    f"{owner}: `shapes` must stand beside a model of {list(WITH_SHAPES)}. "
                    f"Received: shapes={self.shapes!r}, model={self.model!r}. Remove it."
                )
        if self.weighted_metrics:
            raise ProblemError(
                f"{owner}: `weighted_metrics` must be false: indices of survival count every row once. "
                "Received: weighted_metrics=True. Remove it; the loss is weighted."
            )
        self._check_cuts(owner)
        self._check_causes(owner)
        if self.time_upper is not None and (self.model in _OVER_PAIRS or self.causes):
            raise ProblemError(
                f"{owner}: `time_upper` must stand beside a model of single rows and one cause. "
                f"Received: time_upper={self.time_upper!r}, model={self.model!r}, causes={list(self.causes)}. "
                "Use model 'hazard', 'piecewise_hazard', 'pmf', 'mtlr' or 'aft'."
            )

    def _check_cuts(self, owner: str) -> None:
        given = [argument for argument in _CUTS if getattr(self, argument)]
        if len(given) > 1:
            raise ProblemError(f"{owner}: one of {list(_CUTS)} must be given, not more. Received: {given}.")
        for argument in _CUTS[1:]:
            if getattr(self, argument) is not None:
                check_minimum(owner, argument, getattr(self, argument), 1)
        rises = all(low < high for low, high in zip((0.0, *self.intervals), self.intervals, strict=False))
        if not rises or (self.intervals and not math.isfinite(self.intervals[-1])):
            raise ProblemError(
                f"{owner}: `intervals` must ascend from above 0 to a finite time. "
                f"Received: intervals={list(self.intervals)}. List right edges such as [3, 5, 7, 10]."
            )

    def _check_causes(self, owner: str) -> None:
        distinct = len(set(self.causes)) == len(self.causes) and all(map(is_name, self.causes))
        if (self.cause is None) != (not self.causes) or len(self.causes) == 1 or not distinct:
            raise ProblemError(
                f"{owner}: `causes` must list two or more values of `cause`, each a plain name (outputs are called "
                f"after them). Received: cause={self.cause!r}, causes={list(self.causes)}. Leave out both for one."
            )
        if self.causes and self.model != "hazard":
            raise ProblemError(
                f"{owner}: `model` must be 'hazard' with several causes. Received: model={self.model!r}. "
                "Remove it, or the causes."
            )

    def check(self, problem: Problem) -> None:
        """A split by time needs the unit: what came after the next split's begin must not be learned from."""
        if problem.split.by == "time" and self.unit is None:
            raise ProblemError(
                f"SurvivalTask '{self.name}': `unit` must say the unit of `time` in a split by time, where rows still "
                "running when the next split begins are censored there. Received: unit=None. Add for example "
                "`unit: days`."
            )

    @property
    def compares_rows(self) -> bool:  # type: ignore[override]
        """Whether the loss compares the rows of a batch with each other, so that a batch must lie on one replica."""
        return self.model in _OVER_PAIRS

    @property
    def reads_training_split(self) -> bool:  # type: ignore[override]
        """Whether the baseline of a Cox model is still to be computed."""
        return self.model == "cox"

    @property
    def calibrators(self) -> tuple[str, ...]:
        """Kaplan-Meier curves of groups, which need exact times."""
        return ("km",)

    @property
    def label_column(self) -> str | None:
        """The column of the time."""
        return self.time

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Every column that the label and the row's weight are read from."""
        further = (self.event, self.entry, self.time_upper, self.cause, self.weight_column)
        return (self.time, *(column for column in further if column is not None))

    @property
    def number_columns(self) -> tuple[str, ...]:
        """All but the cause."""
        return tuple(column for column in self.label_columns if column != self.cause)

    @property
    def label_parts(self) -> tuple[str, ...]:
        """The time is the primary part."""
        optional = {"entry": self.entry, "upper": self.time_upper, "cause": self.cause}
        return ("", "event", *(part for part, column in optional.items() if column is not None))

    @property
    def counted_parts(self) -> tuple[str, ...]:  # type: ignore[override]
        """All that cut points and first hazards are fitted to."""
        return tuple(part for part in self.label_parts if part != "upper")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Expected lifetime, curve, hazards, median, and how each cause adds up."""
        inner = (len(self.intervals) or None,)
        return (
            Output(text="expected lifetime up to the last interval's end"),
            Output("survival", inner, "chance to live longer than each interval's end"),
            Output("hazard", inner, "chance to end in each interval if it is reached"),
            Output("median", text="when survival reaches one half; the last interval's end if it does not"),
            *(
                Output(f"cif_{cause}", inner, f"chance to have ended by '{cause}' at each interval's end")
                for cause in self.causes
            ),
        )
