"""Quantile tasks."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.task_record import TaskRecord


@dataclass(frozen=True)
class QuantileTask(TaskRecord):
    """A task whose label is a finite number; the model answers with its quantiles, which never cross. See `TaskRecord`.

    Args:
        quantiles: tuple of float. Rising, each strictly between 0 and 1; the one nearest to 0.5 is the task's score.
            Defaults to `(0.1, 0.5, 0.9)`.
    """

    kind: ClassVar[str] = "quantile"
    serving_method: ClassVar[str | None] = "regress"
    monitor: ClassVar[tuple[str, str]] = ("pinball", "min")

    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = (0.0, *self.quantiles, 1.0)
        if not self.quantiles or any(low >= high for low, high in pairwise(levels)):
            raise ProblemError(
                f"QuantileTask '{self.name}': `quantiles` must rise strictly between 0 and 1. Received: "
                f"quantiles={list(self.quantiles)!r}. Use [0.1, 0.5, 0.9]."
            )

    @property
    def score_index(self) -> int:
        """Which of the quantiles the score is."""
        return min(range(len(self.quantiles)), key=lambda place: abs(self.quantiles[place] - 0.5))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The middle quantile, and all of them."""
        names = ", ".join(f"{level:g}" for level in self.quantiles)
        every = Output("quantiles", (len(self.quantiles),), f"quantiles {names}, rising")
        return (Output(text=f"quantile {self.quantiles[self.score_index]:g}"), every)
