"""A feature whose values are lists of numbers of one length, such as the embedding of a text or a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum, check_separator
from tfmtl.schema.features.column_feature import ColumnFeature
from tfmtl.schema.features.feature_record import SIDES, Guess
from tfmtl.schema.features.number_lists import check_record_bytes, is_large
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.reserved import JOINT

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

NORMALIZE = ("none", "z_score", "l2")


@dataclass(frozen=True)
class VectorFeature(ColumnFeature):
    """A column with `size` numbers a row, which a learned matrix projects to the width of all fields.

    - `none`: the numbers as they are.
    - `z_score`: each component as `(x - mean) / sd` of the training rows, clipped to [-10, 10].
    - `l2`: the vector divided by its length.

    A missing vector (null, an empty list or text, NaN in every place) has a learned field of its own. A row whose list
    has another length, or NaN or an infinity in some places, is rejected, and a request with such a list refused.

    Args:
        name: str. The feature's name everywhere, and its column's.
        size: int. Numbers a row.
        normalize: `"none"`, `"z_score"` or `"l2"`. Defaults to `"none"`.
        separator: str. What joins the numbers where the column is text; brackets around them are left out. Defaults to
            `"|"`.
        dim: int. Width of the field, as of an embedding. Defaults to `16`.
        side: `"user"`, `"item"` or `"context"`. Defaults to `"context"`.
        column: str or None. The column of the log, where it has a name of its own, such as `"Text embedding"`.
            Defaults to `None`: the name.
        missing: tuple of str. Texts of this column that mean missing, beside the problem's. Defaults to none.
        large: bool. Whether records may hold more than 4 KB of vectors an example. Defaults to `False`.
        dropout: float in [0, 1). Share of rows that are trained as if the vector were missing. Defaults to `0.0`.
    """

    kind: ClassVar[str] = "vector"

    name: str
    size: int
    normalize: Annotated[str, NORMALIZE] = "none"
    separator: str = "|"
    dim: int = 16
    side: Annotated[str, SIDES] = "context"
    column: str | None = None
    missing: tuple[str, ...] = ()
    large: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        owner = self.check_common_keys()
        check_minimum(owner, "size", self.size, 1)
        check_choice(owner, "normalize", self.normalize, NORMALIZE)
        check_separator(owner, self.separator)

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        size = column.vector_size
        if size is None:
            return None
        large = {"large": True} if is_large(size) else {}
        return Guess({"size": size, **large}, f"lists of {size} numbers{column.missing_text}")

    @property
    def missing_key(self) -> str:
        """Name of the tensor that is 1 where the vector is missing."""
        return f"{self.name}{JOINT}missing"

    @property
    def not_in_events(self) -> str | None:
        return None

    def inputs(self) -> tuple[RequestInput, ...]:
        text = f"{self.size} numbers of side `{self.side}`, all of them NaN where missing"
        return (RequestInput(self.name, "float32", (self.size,), self.side, text),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        values = EncodedTensor(self.name, "own", self.name, (self.size,), dim=self.dim, side=self.side)
        return values, EncodedTensor(self.missing_key, "own", self.name, dim=self.dim, side=self.side, missing=1.0)

    def check(self, problem: Problem) -> None:
        """All lists of numbers of an example together must not be larger than a record ought to be."""
        check_record_bytes(problem, self.name, self.large)
