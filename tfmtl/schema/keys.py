"""The key columns of a log: user, time, group, order and weight."""

from dataclasses import dataclass
from typing import Annotated

from tfmtl.schema.checks import check_choice, check_column, check_name
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

SECONDS_PER_DAY = 86_400
TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000, "d": 1}  # ticks a second, as times are held
ROW_WEIGHT = "__weight"
"""What `weight` is called among the labels of a batch; no task can be called so."""


@dataclass(frozen=True)
class Keys:
    """Key columns of the log.

    Args:
        user: str. Column of the user; sequences are built per user.
        time: str or None. Column of the event time: a count of `time_unit`
            since any epoch, a date or timestamp, or ISO text. Needed by
            sequences and by a split by time. Defaults to `None`.
        group: str or None. Column whose values are the groups of the grouped
            AUC. Defaults to `None`: the user.
        time_unit: `"s"`, `"ms"`, `"us"`, `"ns"` or `"d"`. Days are held as the
            seconds at which they begin, in requests, too. Defaults to `"s"`.
        order: str or None. Column of numbers that says which of a user's rows
            with the same time comes first, so that the earlier ones are history
            of the later. Defaults to `None`: rows with the same time do not see each other.
        weight: str or None. Column with the weight of each row for all tasks, at least 0. An example without a weight
            is rejected. Defaults to `None`: every row counts once.
    """

    user: str | None = None
    time: str | None = None
    group: str | None = None
    time_unit: Annotated[str, tuple(TIME_UNITS)] = "s"
    order: str | None = None
    weight: str | None = None

    def __post_init__(self) -> None:
        check_types("Keys", self)
        if self.time is not None:
            check_name("Keys", "time", self.time)  # a tensor of every request
        check_column("Keys", "user", self.user)
        check_column("Keys", "group", self.group)
        check_column("Keys", "order", self.order)
        if self.order is not None and self.time is None:
            raise ProblemError(
                f"Keys: `order` must go with `time`: it orders rows at one time. Received: order={self.order!r}, "
                "time=None. Name the column of the time."
            )
        check_column("Keys", "weight", self.weight)
        check_choice("Keys", "time_unit", self.time_unit, TIME_UNITS)

    @property
    def ticks_per_second(self) -> int:
        """How many units of a time, as it is held and sent, one second has."""
        return TIME_UNITS[self.time_unit]

    @property
    def ticks_per_step(self) -> int:
        """How many such units one step of the log's column is: 86,400 for days, else 1."""
        return SECONDS_PER_DAY if self.time_unit == "d" else 1
