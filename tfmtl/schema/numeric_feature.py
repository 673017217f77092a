"""A feature whose values are numbers."""

from dataclasses import dataclass
from typing import ClassVar

from tfmtl.schema.categorical_feature import SIDES
from tfmtl.schema.strict import check_choice, check_column, check_minimum, check_missing, check_name, check_types

TRANSFORMS = ("quantiles", "z_score", "log_z_score")


@dataclass(frozen=True)
class NumericFeature:
    """A numeric column, scaled or cut into buckets by training statistics.

    - `quantiles`: ids of `buckets` equally frequent buckets, 2 and up; 0 for a
      missing value, so that "missing" has a meaning of its own.
    - `z_score`: `(x - mean) / sd`, clipped to [-10, 10]; missing becomes 0, the mean.
    - `log_z_score`: the same of `sign(x) * log(1 + |x|)`.

    Args:
        name: str. The feature's name everywhere, and its column's.
        transform: str, one of the above. Defaults to `"quantiles"`.
        buckets: int. Number of quantile buckets at most; equal boundaries are
            merged. Defaults to `32`.
        dim: int. Embedding width. Defaults to `16`.
        side: `"user"`, `"item"` or `"context"`. Defaults to `"context"`.
        column: str or None. The column of the log, where it has a name of its own, such as `"Unit price"`.
            Defaults to `None`: the name.
        missing: tuple of str. Texts of this column that mean missing, beside the problem's. Defaults to none.
    """

    kind: ClassVar[str] = "numeric"

    name: str
    transform: str = "quantiles"
    buckets: int = 32
    dim: int = 16
    side: str = "context"
    column: str | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        owner = f"NumericFeature '{self.name}'"
        check_types(owner, self)
        check_name("NumericFeature", "name", self.name)
        check_choice(owner, "transform", self.transform, TRANSFORMS)
        check_choice(owner, "side", self.side, SIDES)
        check_column(owner, "column", self.column)
        check_missing(owner, self.missing)
        check_minimum(owner, "buckets", self.buckets, 2)
        check_minimum(owner, "dim", self.dim, 1)

    @property
    def is_bucketized(self) -> bool:
        """Whether the model reads ids (and not a scaled value)."""
        return self.transform == "quantiles"

    @property
    def column_name(self) -> str:
        """The column of the log."""
        return self.column or self.name

    @property
    def table_name(self) -> str:
        """The embedding table the bucket ids index."""
        return self.name
