"""A history of one kind of behavior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tfmtl.schema.checks import check_minimum, check_name
from tfmtl.schema.condition import Condition
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import JOINT, RESERVED_IDS
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

_COUNTED = 10  # times `max_length`
_MAX_TIME_GAP_BUCKETS = 64  # the last one begins at 2**62 seconds


@dataclass(frozen=True)
class SequenceFeature:
    """The user's last events of one behavior type, strictly before the example's time.

    Stored oldest to newest. A row whose first column is missing is no event.

    Args:
        name: str. The behavior, for example `"liked"`.
        columns: tuple of str. Features that each event carries; each must be a
            single-valued categorical or a quantile-bucketed numeric feature.
        when: str or None. Condition on a row to count as such an event, for
            example `"rating >= 4"`. Defaults to `None`: every row.
        max_length: int. Events kept. Defaults to `50`.
        time_gap_buckets: int. Buckets of the time from event to example, each
            twice as long as the one before, the first up to one second; 0
            leaves time gaps out, 64 is the most. Defaults to `24`.
        count_length: int or None. Events that features derived from the sequence read, such as `history`; a request may
            bring so many. Defaults to `None`: ten times `max_length`.
    """

    name: str
    columns: tuple[str, ...]
    when: str | None = None
    max_length: int = 50
    time_gap_buckets: int = 24
    count_length: int | None = None

    def __post_init__(self) -> None:
        owner = f"SequenceFeature '{self.name}'"
        check_types(owner, self)
        check_name("SequenceFeature", "name", self.name)
        if not self.columns:
            raise ProblemError(f"{owner}: `columns` must name at least one feature. Received: columns=().")
        if len(set(self.columns)) != len(self.columns):
            raise ProblemError(f"{owner}: `columns` must be distinct. Received: columns={self.columns!r}.")
        check_minimum(owner, "max_length", self.max_length, 1)
        check_minimum(owner, "time_gap_buckets", self.time_gap_buckets, 0)
        if self.count_length is not None:
            check_minimum(owner, "count_length", self.count_length, self.max_length)
        if self.time_gap_buckets > _MAX_TIME_GAP_BUCKETS:
            raise ProblemError(
                f"{owner}: `time_gap_buckets` must be at most {_MAX_TIME_GAP_BUCKETS}. "
                f"Received: time_gap_buckets={self.time_gap_buckets}."
            )
        if self.when is not None:
            Condition(self.when)

    @property
    def condition(self) -> Condition | None:
        """`when`, parsed."""
        return Condition(self.when) if self.when is not None else None

    def column_key(self, column: str) -> str:
        """Name of the tensor with the events' `column`."""
        return f"{self.name}{JOINT}{column}"

    @property
    def time_key(self) -> str:
        """Name of the raw tensor with the events' times."""
        return f"{self.name}{JOINT}time"

    @property
    def gap_key(self) -> str:
        """Name of the model-ready tensor with the events' time-gap buckets."""
        return f"{self.name}{JOINT}gap"

    def needs_times(self, problem: Problem) -> bool:
        """Whether a request has to say when the events were."""
        return bool(self.time_gap_buckets) or any(self.name in feature.sources for feature in problem.features)

    def longest_window(self, problem: Problem) -> int:
        """How many of its newest events are read: `max_length`, or `count_length` if anything is derived from it."""
        if not any(self.name in feature.sources for feature in problem.features):
            return self.max_length
        return max(self.max_length, self.count_length or _COUNTED * self.max_length)

    def inputs(self, problem: Problem) -> tuple[RequestInput, ...]:
        """What a request brings: a list a column, oldest event first, and the times if anything reads them."""
        count = f"oldest first; the last {self.longest_window(problem)} count"
        text = f"events of `{self.name}` before the request, {count}"
        found = [
            replace(each, key=self.column_key(column), inner=(None, *each.inner), side="user", text=text)
            for column in self.columns
            for each in problem.feature(column).inputs()
        ]
        if self.needs_times(problem):
            text = f"times of the events of `{self.name}`, in the log's unit"
            found.append(RequestInput(self.time_key, "int64", (None,), "user", text))
        return tuple(found)

    def tensors(self, problem: Problem, dim: int = 16) -> tuple[EncodedTensor, ...]:
        """What the model reads: of every column the ids of `max_length` events, then the time gaps' buckets.

        Args:
            problem: `Problem`.
            dim: int. Width of the time gaps' table. Defaults to `16`.
        """
        found = [
            replace(each, key=self.column_key(each.key), inner=(self.max_length, *each.inner), side="user")
            for column in self.columns
            for each in problem.feature(column).tensors(problem)
            if each.holds_ids
        ]
        if self.time_gap_buckets:
            key, rows = self.gap_key, self.time_gap_buckets + RESERVED_IDS
            found.append(EncodedTensor(key, "id", key, (self.max_length,), key, rows, dim, side="user"))
        return tuple(found)
