"""Labels from later events of the same user."""

from dataclasses import dataclass

from tfmtl.schema.checks import check_column
from tfmtl.schema.condition import Condition
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

_MOST_HOURS = 1_000_000.0  # a century; more is a mistake, and in milliseconds still far from the end of int64


@dataclass(frozen=True)
class LabelWindow:
    """The later event that makes an example positive, and the time in which it must happen.

    With an example at time t the window is (t, t + hours]: strictly after the example, its end included. Whatever
    happens at t itself, the example's own row among it, is neither history (see `SequenceFeature`) nor label.

    Args:
        when: str. Condition on a row of the same user to be such an event, for example `"buy == 1"`.
        hours: float. Length of the window; positive, at most 1,000,000.
        same: str or None. Column in which the event must have the example's value, compared as text: the item. An
            example without a value there has no label. Defaults to `None`: any such event of the user.
    """

    when: str
    hours: float
    same: str | None = None

    def __post_init__(self) -> None:
        check_types("LabelWindow", self)
        Condition(self.when)
        if not 0.0 < self.hours <= _MOST_HOURS:
            raise ProblemError(
                f"LabelWindow: `hours` must be positive and at most {_MOST_HOURS:,.0f}. Received: hours={self.hours!r}."
            )
        check_column("LabelWindow", "same", self.same)

    @property
    def condition(self) -> Condition:
        """`when`, parsed."""
        return Condition(self.when)

    def ticks(self, ticks_per_second: int) -> int:
        """The window's length in units of the log's time, rounded down."""
        return int(self.hours * 3600 * ticks_per_second)
