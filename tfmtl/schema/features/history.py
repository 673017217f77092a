"""Statistics of a sequence at the time of the request: counts, gaps, means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum, did_you_mean
from tfmtl.schema.features.derived import check_derived_name, has_times, sequence_of
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.features.fixed_scales import ENTERS, derived_tensors
from tfmtl.schema.forms import EncodedTensor
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

WINDOWS = {"hour": 3_600, "day": 86_400, "week": 604_800}
_COUNTS = ("count", "newest", "oldest", *(f"last_{window}" for window in WINDOWS))
STATISTICS = ("mean", "sum", "least", "most")


@dataclass(frozen=True)
class HistoryFeature(FeatureRecord):
    """Statistics of a sequence at the time of the request, computed from the request itself.

    Its fields are `<name>_count`, `<name>_newest` and `<name>_oldest` (seconds since that event), `<name>_last_hour`,
    `<name>_last_day`, `<name>_last_week` (events in that time); for every column of `mean` also `<name>_mean_<column>`,
    `_sum_`, `_least_` and `_most_`; with `share_of` also `<name>_share`. Of a sequence without times those are left
    out that need them. "None yet" is a value of its own. What they see is bounded by the sequence's `count_length`.

    Args:
        of: str. The sequence.
        name: str. Defaults to `""`: the sequence's name.
        mean: tuple of str. Numeric columns of the sequence whose mean, sum and extremes are taken. Defaults to none.
        share_of: str or None. Another sequence; gives the count of this sequence divided by the count of that one.
            Defaults to `None`.
        dim: int. Width of the buckets' tables. Defaults to `16`.
        summed: bool. Whether the network adds up the vectors of all these numbers, to one field `<name>_numbers`,
            instead of reading a field for each: a fraction of the inputs of its first layer. Of numbers that enter
            once it says nothing. Defaults to `False`.
        enters: `"twice"`, each number as the id of a bucket and as a number; or `"once"`, as a number alone, -1 where
            there is none yet, and summed: the cheapest form. Defaults to `"twice"`.
    """

    kind: ClassVar[str] = "history"

    of: str
    name: str = ""
    mean: tuple[str, ...] = ()
    share_of: str | None = None
    dim: int = 16
    summed: bool = False
    enters: Annotated[str, ENTERS] = "twice"

    def __post_init__(self) -> None:
        check_types("HistoryFeature", self)
        object.__setattr__(self, "name", self.name or self.of)
        check_derived_name(self)
        owner = f"HistoryFeature '{self.name}'"
        check_minimum(owner, "dim", self.dim, 1)
        check_choice(owner, "enters", self.enters, ENTERS)

    @property
    def _joins(self) -> str:
        return f"{self.name}_numbers" if self.summed or self.enters == "once" else ""

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.of, *([self.share_of] if self.share_of else []), *self.mean)

    def needs_time(self, problem: Problem) -> bool:
        return has_times(problem, self.of)

    def scales(self, problem: Problem) -> dict[str, str]:
        """Field -> the scale of its number."""
        found = {f"{self.name}_{part}": "count" for part in (_COUNTS if has_times(problem, self.of) else _COUNTS[:1])}
        found |= {f"{self.name}_{statistic}_{column}": "signed" for column in self.mean for statistic in STATISTICS}
        return found | ({f"{self.name}_share": "share"} if self.share_of else {})

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        return tuple(
            each
            for field, scale in self.scales(problem).items()
            for each in derived_tensors(self.enters, field, scale, self.dim, "user", self._joins)
        )

    def check(self, problem: Problem) -> None:
        sequence = sequence_of(self, problem, "of", self.of)
        if self.share_of is not None:
            sequence_of(self, problem, "share_of", self.share_of)
        inputs = {name: problem.feature(name).inputs()[0] for name in sequence.columns}
        numbers = [name for name, each in inputs.items() if each.dtype == "float32" and not each.inner]
        for column in self.mean:
            if column not in numbers:
                raise ProblemError(
                    f"Problem: feature '{self.name}' takes the mean of '{column}', which is not a numeric column of "
                    f"sequence '{self.of}'. It has: {numbers}.{did_you_mean(column, numbers)}"
                )
