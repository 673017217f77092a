"""Numeric features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum
from tfmtl.schema.features.column_feature import ColumnFeature
from tfmtl.schema.features.feature_record import SIDES, Guess
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.shown import shown_short

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

TRANSFORMS = ("quantiles", "z_score", "log_z_score", "both")

_BUCKETS = 32
_MISSING = 0.01  # of the rows, from which a bucket of its own for them is worth it
_SKEWED, _FREQUENT = 1.0, 0.2
_MOST_SHOWN = 3


@dataclass(frozen=True)
class NumericFeature(ColumnFeature):
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
    transform: Annotated[str, TRANSFORMS] = "quantiles"
    buckets: int = _BUCKETS
    dim: int = 16
    side: Annotated[str, SIDES] = "context"
    column: str | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        owner = self.check_common_keys()
        check_choice(owner, "transform", self.transform, TRANSFORMS)
        check_minimum(owner, "buckets", self.buckets, 2)

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        if column.numbers is None or column.why_names is not None:
            return None
        numbers = column.present_numbers
        transform, why = _guess_transform(column)
        options: dict[str, Any] = {"transform": transform} if transform != "quantiles" else {}
        if transform == "quantiles" and column.distinct < _BUCKETS:
            options["buckets"] = max(2, column.distinct)
        why = f"{numbers.min():.6g} to {numbers.max():.6g}; {why}{column.missing_text}"
        if column.unreadable:
            why += "; rows are rejected where it is " + ", ".join(map(shown_short, column.unreadable[:_MOST_SHOWN]))
        return Guess(options, why, rank=-1)

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
    def table_name(self) -> str:
        """The embedding table the bucket ids index."""
        return self.name

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


def _guess_transform(column: Any) -> tuple[str, str]:
    """The transform that suits a column's numbers, and why."""
    value, share = column.most_frequent
    skewness, log_skewness = column.skewness, column.log_skewness
    if column.missing > _MISSING:
        return "quantiles", "quantile buckets, in which missing has one of its own"
    if share > _FREQUENT:
        return "quantiles", f"{share:.0%} are {shown_short(value)}"
    if abs(skewness) <= _SKEWED:
        return "z_score", f"symmetric enough (skewness {skewness:.1f})"
    after = f"skewness {skewness:.1f}, {log_skewness:.1f} after the logarithm"
    return ("log_z_score" if abs(log_skewness) <= _SKEWED else "quantiles"), after
