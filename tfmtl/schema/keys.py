"""Which columns say who, when, and in which group a row counts."""

from dataclasses import dataclass

from tfmtl.schema.strict import check_choice, check_column, check_name, check_types

TIME_UNITS = {"s": 1, "ms": 1000}
ROW_WEIGHT = "__weight"
"""What `weight` is called among the labels of a batch; no task can be called so."""


@dataclass(frozen=True)
class Keys:
    """Key columns of the log.

    Args:
        user: str. Column of the user; sequences are built per user.
        time: str or None. Column of the event time, an integer count of
            `time_unit` since any epoch. Needed by sequences and by a split by
            time. Defaults to `None`.
        group: str or None. Column whose values are the groups of the grouped
            AUC. Defaults to `None`, which means the user.
        time_unit: `"s"` or `"ms"`. Defaults to `"s"`.
        weight: str or None. Column that says how much a row counts for all tasks; at least 0. An example that lacks
            it is rejected. Defaults to `None`: every row counts once.
    """

    user: str | None = None
    time: str | None = None
    group: str | None = None
    time_unit: str = "s"
    weight: str | None = None

    def __post_init__(self) -> None:
        check_types("Keys", self)
        if self.time is not None:
            check_name("Keys", "time", self.time)  # a tensor of every request
        check_column("Keys", "user", self.user)
        check_column("Keys", "group", self.group)
        check_column("Keys", "weight", self.weight)
        check_choice("Keys", "time_unit", self.time_unit, TIME_UNITS)

    @property
    def ticks_per_second(self) -> int:
        """How many units of `time` one second has."""
        return TIME_UNITS[self.time_unit]
