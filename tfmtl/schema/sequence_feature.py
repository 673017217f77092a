"""Behavior sequences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from tfmtl.schema.checks import check_choice, check_column, check_minimum, check_name
from tfmtl.schema.condition import Condition
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import JOINT, RESERVED_IDS
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

_COUNTED = 10  # times `max_length`
SOURCES = ("log", "row")
FORMATS = ("text", "json")
DEFAULT_GAP_BUCKETS = 24
_MAX_TIME_GAP_BUCKETS = 64  # the last one begins at 2**62 seconds


@dataclass(frozen=True)
class SequenceFeature:
    """A behavior sequence: the user's last events of one type, strictly before the example's time.

    Stored oldest to newest. An event whose first column is missing is none. Events are the user's other rows of the
    log, or stand in lists in the row itself, as they were logged when its request was served: the same tensors, model
    and requests.

    Args:
        name: str. The behavior, for example `"liked"`.
        columns: tuple of str. Features of each event: categories, lists of them, buckets, scaled numbers. The first
            must have one id (a category or a bucket); without it a row is not an event.
        when: str or None. Condition on a row to count as such an event, for
            example `"rating >= 4"`. Defaults to `None`: every row.
        max_length: int. Events kept. Defaults to `50`.
        time_gap_buckets: int. Buckets of the time from event to example, each
            twice as long as the one before, the first up to one second; 0
            leaves time gaps out, 64 is the most. Defaults to `24`.
        count_length: int or None. Events that features derived from the sequence read, such as `history`; a request may
            bring so many. Defaults to `None`: ten times `max_length`.
        source: `"log"`, the user's other rows, or `"row"`, lists in the row itself. Defaults to `"log"`.
        lists: tuple of str. Of source `"row"`: for each of `columns` the log's column with a list of it, an item an
            event, oldest first; equally long. Defaults to none.
        times: str or None. Of source `"row"`: the column with a list of the events' times. Without it there are no
            time gaps, and features derived from it have no seconds. Defaults to `None`.
        separator: str. What joins the items of lists in text. Defaults to `"|"`.
        format: `"text"` or `"json"`: how text holds lists, as of a multi-valued feature. Defaults to `"text"`.
    """

    name: str
    columns: tuple[str, ...]
    when: str | None = None
    max_length: int = 50
    time_gap_buckets: int = DEFAULT_GAP_BUCKETS
    count_length: int | None = None
    source: Annotated[str, SOURCES] = "log"
    lists: tuple[str, ...] = ()
    times: str | None = None
    separator: str = "|"
    format: Annotated[str, FORMATS] = "text"

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
        self._check_source(owner)

    def _check_source(self, owner: str) -> None:
        check_choice(owner, "source", self.source, SOURCES)
        check_choice(owner, "format", self.format, FORMATS)
        if not self.separator:
            raise ProblemError(f"{owner}: `separator` must not be empty. Received: separator=''.")
        for column in (*self.lists, self.times):
            check_column(owner, "times" if column is self.times else "lists", column)
        if self.source == "log":
            for argument in ("lists", "times"):
                if getattr(self, argument):
                    raise ProblemError(
                        f"{owner}: `{argument}` goes with `source: row` only. "
                        f"Received: {argument}={getattr(self, argument)!r}. Set the source, or remove it."
                    )
            return
        if len(self.lists) != len(self.columns):
            raise ProblemError(
                f"{owner}: `lists` must name one column of the log for each of `columns`. "
                f"Received: lists={self.lists!r}, columns={self.columns!r}."
            )
        if self.when is not None:
            raise ProblemError(
                f"{owner}: `when` must be left out with `source: row`: what is in a row's lists has happened. "
                f"Received: when={self.when!r}."
            )
        if self.times is None:
            if self.time_gap_buckets not in (0, DEFAULT_GAP_BUCKETS):
                raise ProblemError(
                    f"{owner}: `time_gap_buckets` needs `times`. Received: "
                    f"time_gap_buckets={self.time_gap_buckets}, times=None. Name the list of the events' times."
                )
            object.__setattr__(self, "time_gap_buckets", 0)

    @property
    def has_times(self) -> bool:
        """Whether it is known when its events were."""
        return self.source == "log" or self.times is not None

    @property
    def list_columns(self) -> tuple[str, ...]:
        """The log's columns that hold its events; none where other rows are events."""
        return (*self.lists, *([self.times] if self.times is not None else []))

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
        is_derived_from = any(self.name in feature.sources for feature in problem.features)
        return self.has_times and (bool(self.time_gap_buckets) or is_derived_from)

    def longest_window(self, problem: Problem) -> int:
        """How many of its newest events are read: `max_length`, or `count_length` if anything is derived from it."""
        if not any(self.name in feature.sources for feature in problem.features):
            return self.max_length
        return max(self.max_length, self.count_length or _COUNTED * self.max_length)

    def inputs(self, problem: Problem) -> tuple[RequestInput, ...]:
        """What a request brings: a list per column, oldest event first, and the times if anything reads them."""
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
        """What the model reads: of every column what its feature has, of `max_length` events, then the gaps' buckets.

        Args:
            problem: `Problem`.
            dim: int. Width of the time gaps' table. Defaults to `16`.
        """
        found = [
            replace(each, key=self.column_key(each.key), inner=(self.max_length, *each.inner), side="user")
            for column in self.columns
            for each in problem.feature(column).tensors(problem)
        ]
        if self.time_gap_buckets:
            key, rows = self.gap_key, self.time_gap_buckets + RESERVED_IDS
            found.append(EncodedTensor(key, "id", key, (self.max_length,), key, rows, dim, side="user"))
        return tuple(found)
