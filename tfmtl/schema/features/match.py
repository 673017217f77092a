"""Whether the request's own value is in the sequence, how often and how recently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum, did_you_mean
from tfmtl.schema.features.derived import check_derived_name, has_times, sequence_of
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.features.fixed_scales import ENTERS, MATCH_NUMBERS, derived_tensors
from tfmtl.schema.forms import EncodedTensor
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

SCALES = {"count": "count", "share": "share", "newest": "count"}


@dataclass(frozen=True)
class MatchFeature(FeatureRecord):
    """The events of a sequence that have the request's own value in a column, computed from the request itself.

    For every column of `on` the fields `<name>_<column>_count`, `_share` (of all events) and `_newest` (seconds since
    the newest such event; not of a sequence without times). Values are compared as they came, rare ones too. On a
    column of the item they are computed for every candidate. What they see is bounded by the sequence's `count_length`.

    Args:
        of: str. The sequence.
        on: tuple of str. Columns of the sequence that are features of the request, too.
        name: str. Defaults to `""`: the sequence's name with `_match`.
        dim: int. Width of the buckets' tables. Defaults to `16`.
        summed: bool. Whether the network adds up the vectors of all these numbers, to one field `<name>_numbers`,
            instead of reading a field for each: a fraction of the inputs of its first layer. Of numbers that enter
            once it says nothing. Defaults to `False`.
        enters: `"twice"`, each number as the id of a bucket and as a number; or `"once"`, as a number alone, -1 where
            there is none yet, and the network adds up those of all matches, of whatever sequence, to one field
            `match_numbers`: the cheapest form, most of all for a ranking. Defaults to `"twice"`.
    """

    kind: ClassVar[str] = "match"

    of: str
    on: tuple[str, ...]
    name: str = ""
    dim: int = 16
    summed: bool = False
    enters: Annotated[str, ENTERS] = "twice"

    def __post_init__(self) -> None:
        check_types("MatchFeature", self)
        object.__setattr__(self, "name", self.name or f"{self.of}_match")
        check_derived_name(self)
        check_minimum(f"MatchFeature '{self.name}'", "dim", self.dim, 1)
        check_choice(f"MatchFeature '{self.name}'", "enters", self.enters, ENTERS)
        if not self.on or len(set(self.on)) < len(self.on):
            raise ProblemError(
                f"MatchFeature '{self.name}': `on` must name columns, each once. Received: on={self.on!r}."
            )

    @property
    def _joins(self) -> str:
        if self.enters == "once":
            return MATCH_NUMBERS
        return f"{self.name}_numbers" if self.summed else ""

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.of, *self.on)

    def needs_time(self, problem: Problem) -> bool:
        return has_times(problem, self.of)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        sides = {
            each.name: each.inputs()[0].side for each in problem.features if each.name in self.on and each.inputs()
        }
        return tuple(
            each
            for column in self.on
            for part, scale in SCALES.items()
            if part != "newest" or has_times(problem, self.of)
            for each in derived_tensors(
                self.enters,
                f"{self.name}_{column}_{part}",
                scale,
                self.dim,
                sides.get(column, "context"),
                self._joins,
            )
        )

    def check(self, problem: Problem) -> None:
        sequence = sequence_of(self, problem, "of", self.of)
        known = [
            column for column in sequence.columns if [each.inner for each in problem.feature(column).inputs()] == [()]
        ]
        for column in self.on:
            if column not in known:
                raise ProblemError(
                    f"Problem: feature '{self.name}' of kind match compares '{column}', which must be a column of "
                    f"sequence '{self.of}' and a feature of the example with one value. There are: {known}."
                    f"{did_you_mean(column, known)}"
                )
