"""Numbers at a fixed number of steps: ranks of the last weeks, impressions of the first days."""

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

SCALES = ("none", "z_score", "log_z_score")
SERIES_ENCODERS = ("gru", "convolution", "flat")
_GOES_TOGETHER = 0.5  # correlation of neighboring numbers


@dataclass(frozen=True)
class SeriesFeature(ColumnFeature):
    """A column with the numbers of `length` steps a row, oldest first, of which an encoder makes one field.

    Every row has all its steps: a length that depends on what came later would give it away. So cut histories at one
    age, and keep only rows that reached it. Single numbers may be missing (null or NaN): the encoder sees that they
    are, and takes them for the mean. A series without any number has a learned field of its own. A row of another
    length, or with an infinity, is rejected, and a request with one refused.

    Args:
        name: str. The feature's name everywhere, and its column's.
        length: int. Steps.
        normalize: `"none"`, `"z_score"` or `"log_z_score"`, the z-score of `sign(x) log(1 + |x|)`; mean and deviation
            are those of a channel over all steps of the training rows. Defaults to `"z_score"`.
        channels: int. Numbers a step. The column holds them step by step: all of the first step, then all of the
            second, or a list for every step. Defaults to `1`.
        encoder: `"gru"`, `"convolution"` or `"flat"`, whose weights are apart for every step. Defaults to `"gru"`.
        separator: str. What joins the numbers where the column is text. Defaults to `"|"`.
        dim: int. Width of the field, as of an embedding. Defaults to `16`.
        side: `"user"`, `"item"` or `"context"`. Defaults to `"context"`.
        column: str or None. The column of the log, where it has a name of its own. Defaults to `None`: the name.
        missing: tuple of str. Texts of this column that mean missing, beside the problem's. Defaults to none.
        large: bool. Whether records may hold more than 4 KB of lists of numbers an example. Defaults to `False`.
        dropout: float in [0, 1). Share of rows that are trained as if the series were missing. Defaults to `0.0`.
    """

    kind: ClassVar[str] = "series"

    name: str
    length: int
    normalize: Annotated[str, SCALES] = "z_score"
    channels: int = 1
    encoder: Annotated[str, SERIES_ENCODERS] = "gru"
    separator: str = "|"
    dim: int = 16
    side: Annotated[str, SIDES] = "context"
    column: str | None = None
    missing: tuple[str, ...] = ()
    large: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        owner = self.check_common_keys()
        for argument in ("length", "channels"):
            check_minimum(owner, argument, getattr(self, argument), 1)
        check_choice(owner, "normalize", self.normalize, SCALES)
        check_choice(owner, "encoder", self.encoder, SERIES_ENCODERS)
        check_separator(owner, self.separator)

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        size = column.vector_size
        if size is None or size < 3:
            return None
        if column.has_gaps:
            why = "some of them missing"
        elif column.neighbor_correlation > _GOES_TOGETHER:
            why = f"neighbors go together (correlation {column.neighbor_correlation:.2f}), so their order matters"
        else:
            return None
        large = {"large": True} if is_large(2 * size) else {}
        return Guess({"length": size, **large}, f"lists of {size} numbers, {why}{column.missing_text}", rank=1)

    @property
    def size(self) -> int:
        """Numbers a row."""
        return self.length * self.channels

    @property
    def present_key(self) -> str:
        """Name of the tensor that is 1 where a number is there."""
        return f"{self.name}{JOINT}present"

    @property
    def not_in_events(self) -> str | None:
        return "which is a history of its own: make it a feature of the row"

    def inputs(self) -> tuple[RequestInput, ...]:
        steps = f"{self.length} steps" + (f" of {self.channels} numbers, one after another" * (self.channels > 1))
        text = f"{steps}, oldest first, of side `{self.side}`; NaN where a number is missing"
        return (RequestInput(self.name, "float32", (self.size,), self.side, text),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        shape = (self.length, self.channels)
        return tuple(
            EncodedTensor(key, "own", self.name, shape, dim=self.dim, side=self.side)
            for key in (self.name, self.present_key)
        )

    def check(self, problem: Problem) -> None:
        """All lists of numbers of an example together must not be larger than a record ought to be."""
        check_record_bytes(problem, self.name, self.large)
