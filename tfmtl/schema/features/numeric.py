"""Numeric features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfmtl.schema.checks import check_choice, check_column, check_minimum, check_missing, check_name
from tfmtl.schema.features.feature_record import SIDES, FeatureRecord
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.strict import check_types

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

TRANSFORMS = ("quantiles", "z_score", "log_z_score", "both")


@dataclass(frozen=True)
class NumericFeature(FeatureRecord):
    """A numeric column, scaled or cut into buckets by training statistics.

    - `quantiles`: ids of `buckets` equally frequent buckets, 2 and up; 0 for a
      missing value, so that "missing" has a meaning of its own.
    - `z_score`: `(x - mean) / sd`, clipped to [-10, 10]; missing becomes 0, the mean.
    - `log_z_score`: the same of `sign(x) * log(1 + |x|)`.
    - `both`: `quantiles` and `z_score` in one field, which is their sum: buckets follow any curve, the number tells
      values of one bucket apart.

    Args:
        name: str. Name of the feature, and of its column unless `column` is given.
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
        """Whether the model reads ids."""
        return self.transform in ("quantiles", "both")

    @property
    def is_scaled(self) -> bool:
        """Whether the model reads a scaled value."""
        return self.transform != "quantiles"

    @property
    def number_key(self) -> str:
        """Name of the tensor with the scaled value."""
        return f"{self.name}__z" if self.is_bucketized else self.name

    @property
    def column_name(self) -> str:
        """The column of the log."""
        return self.column or self.name

    @property
    def table_name(self) -> str:
        """The embedding table the bucket ids index."""
        return self.name

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column_name,)

    @property
    def not_in_events(self) -> str | None:
        return None

    def inputs(self) -> tuple[RequestInput, ...]:
        text = f"number of side `{self.side}`, `NaN` where missing"
        return (RequestInput(self.name, "float32", (), self.side, text),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        bucket = EncodedTensor(self.name, "id", self.name, (), self.table_name, None, self.dim, True, self.side)
        number = EncodedTensor(self.number_key, "number", self.name, dim=self.dim, side=self.side)
        return (*([bucket] if self.is_bucketized else []), *([number] if self.is_scaled else []))
