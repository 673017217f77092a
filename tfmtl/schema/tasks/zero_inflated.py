"""Zero-inflated tasks: an amount that is often 0."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.task_record import TaskRecord


@dataclass(frozen=True)
class ZeroInflatedTask(TaskRecord):
    """A task whose label is 0 or a positive amount, such as what a user spends. Arguments: see `TaskRecord`.

    The model answers with the mean, with the probability of an amount above 0, and with the mean of such an amount.
    """

    kind: ClassVar[str] = "zero_inflated"
    serving_method: ClassVar[str | None] = "regress"
    monitor: ClassVar[tuple[str, str]] = ("rmse", "min")
    predicts_mean: ClassVar[bool] = True

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The mean, and the two factors it is made of."""
        return (
            Output(text="mean amount, zeros included"),
            Output("positive", text="probability of an amount above 0"),
            Output("amount", text="mean amount where it is above 0"),
        )
