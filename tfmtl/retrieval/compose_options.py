"""Options of joining retrieval and ranking."""

from dataclasses import dataclass

from tfmtl.schema.checks import check_bool, check_positive_int


@dataclass(frozen=True)
class ComposeOptions:
    """Options of `compose`.

    Args:
        order_by: str or None. The list is ordered by this expression, highest first. It is written as for `Score`, over
            the ranking's outputs and `retrieval`, the candidate's probability by retrieval. Defaults to `None`: the
            ranking's first task.
        candidates: int. Number of items that retrieval passes to the ranking. Defaults to `100`.
        exclude_seen: bool. Leave out the items in the sequences of the request. Defaults to `False`.
    """

    order_by: str | None = None
    candidates: int = 100
    exclude_seen: bool = False

    def __post_init__(self) -> None:
        check_positive_int("ComposeOptions", "candidates", self.candidates)
        check_bool("ComposeOptions", "exclude_seen", self.exclude_seen)
