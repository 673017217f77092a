"""A history of one kind of behavior."""

from dataclasses import dataclass

from tfmtl.schema.condition import Condition
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import JOINT, check_minimum, check_name, check_types

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
    """

    name: str
    columns: tuple[str, ...]
    when: str | None = None
    max_length: int = 50
    time_gap_buckets: int = 24

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
