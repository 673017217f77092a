"""How two stages are joined."""

from dataclasses import dataclass

from tfmtl.schema.checks import check_bool, check_positive_int


@dataclass(frozen=True)
class ComposeOptions:
    """Options of `compose`.

    Args:
        order_by: str or None. What the list is ordered by, highest first: an expression, as `Score` reads it, over the
            ranking's outputs and `retrieval`, the share that retrieval gives to a candidate. Defaults to `None`: the
            ranking's first task.
        candidates: int. How many items retrieval hands to the ranking. Defaults to `100`.
        exclude_seen: bool. Whether the items of the request's histories are left out. Defaults to `False`.
    """

    order_by: str | None = None
    candidates: int = 100
    exclude_seen: bool = False

    def __post_init__(self) -> None:
        check_positive_int("ComposeOptions", "candidates", self.candidates)
        check_bool("ComposeOptions", "exclude_seen", self.exclude_seen)
