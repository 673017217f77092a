"""Categorical features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum, check_name, check_separator
from tfmtl.schema.features.column_feature import ColumnFeature
from tfmtl.schema.features.feature_record import SIDES, Guess
from tfmtl.schema.features.shared_table import check_shared_table
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.problem_error import ProblemError

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

FORMATS = ("text", "json")

_SEPARATOR, _MAX_VALUES = "|", 8
_MOST_VALUES = 50  # of a row that `schema infer` proposes to read
_RARE_FROM, _RARER_FROM = 1_000, 100_000  # distinct values, from which single occurrences are left out of vocabulary
_HASH_FROM, _HASH_BUCKETS = 5_000_000, 1 << 20


@dataclass(frozen=True)
class CategoricalFeature(ColumnFeature):
    """A categorical column with one or several values per row, turned into ids.

    Ids: 0 missing or padding, 1 out of vocabulary, 2 and up known values (or
    hash buckets). Values are compared as text, so `3` and `3.0` differ.

    Args:
        name: str. Name of the feature, and of its column unless `column` is given.
        dim: int. Embedding width. Defaults to `16`.
        table: str or None. Features naming the same table share vocabulary and
            embedding. Defaults to `None`: a table of its own, named after the feature.
        min_count: int. Values seen fewer times in the training split are out
            of vocabulary. Defaults to `1`.
        max_size: int or None. Keeps the most frequent values only. Defaults to `None`.
        hash_buckets: int or None. Hash the values into this number of buckets instead
            of learning a vocabulary. Defaults to `None`.
        multi_valued: bool. The column holds several values per row, joined by
            `separator`. Defaults to `False`.
        separator: str. Defaults to `"|"`.
        format: `"text"` or `"json"`: how text holds several values. `"json"` is a list such as `["a", "b"]`, also with
            single quotes, as Python writes it. Defaults to `"text"`: joined by `separator`.
        max_values: int. Values kept per row of a multi-valued column. Defaults to `8`.
        side: `"user"`, `"item"` or `"context"`. Defaults to `"context"`.
        column: str or None. The column of the log, where it has a name of its own, such as `"Unit price"`.
            Defaults to `None`: the name.
        missing: tuple of str. Texts of this column that mean missing, beside the problem's. Defaults to none.
    """

    kind: ClassVar[str] = "categorical"

    name: str
    dim: int = 16
    table: str | None = None
    min_count: int = 1
    max_size: int | None = None
    hash_buckets: int | None = None
    multi_valued: bool = False
    separator: str = _SEPARATOR
    max_values: int = _MAX_VALUES
    side: Annotated[str, SIDES] = "context"
    column: str | None = None
    format: Annotated[str, FORMATS] = "text"
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        owner = self.check_common_keys()
        if self.table is not None:
            check_name(owner, "table", self.table)
        check_choice(owner, "format", self.format, FORMATS)
        if self.format != "text" and not self.multi_valued:
            raise ProblemError(
                f"{owner}: `format` must be 'text' where a row holds one value. Received: format={self.format!r}. "
                "Set `multi_valued: true`."
            )
        for argument in ("min_count", "max_values", "max_size", "hash_buckets"):
            if getattr(self, argument) is not None:
                check_minimum(owner, argument, getattr(self, argument), 1)
        if self.hash_buckets is not None and (self.max_size is not None or self.min_count > 1):
            raise ProblemError(
                f"{owner}: `hash_buckets` must not be combined with `min_count` or `max_size`. "
                "Hashing learns no vocabulary: remove one of them."
            )
        check_separator(owner, self.separator)

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        if column.is_list or column.is_written_list or column.separator:
            return _guess_lists(column)
        if column.numbers is not None and column.why_names is None:
            return None
        seen = column.why_names or column.distinct_text
        options: dict[str, Any] = {}
        if column.estimated_distinct > _HASH_FROM:
            options["hash_buckets"] = _HASH_BUCKETS
            seen += "; hashed, as a vocabulary would be large"
        elif column.estimated_distinct > _RARE_FROM:
            options["min_count"] = 5 if column.estimated_distinct > _RARER_FROM else 2
            seen += "; rare ones are out of vocabulary"
        return Guess(options, seen + column.missing_text, rank=-1)

    @property
    def table_name(self) -> str:
        """The embedding table the ids index."""
        return self.table or self.name

    @property
    def identifies(self) -> bool:
        return not self.multi_valued and self.hash_buckets is None

    @property
    def hashed_columns(self) -> tuple[str, ...]:
        return () if self.hash_buckets is None else (self.column_name,)

    @property
    def not_in_events(self) -> str | None:
        return None

    def inputs(self) -> tuple[RequestInput, ...]:
        if self.multi_valued:
            text = f"texts of side `{self.side}`, the first {self.max_values} count; `[]` where missing"
            return (RequestInput(self.name, "string", (None,), self.side, text),)
        return (RequestInput(self.name, "string", (), self.side, f'text of side `{self.side}`, `""` where missing'),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        role, inner = ("ids", (self.max_values,)) if self.multi_valued else ("id", ())
        return (EncodedTensor(self.name, role, self.name, inner, self.table_name, dim=self.dim, side=self.side),)

    def check(self, problem: Problem) -> None:
        check_shared_table(problem, self, self.table_name, ("dim", "min_count", "max_size", "hash_buckets"))


def _guess_lists(column: Any) -> Guess:
    most = min(column.list_length(), _MOST_VALUES)
    options: dict[str, Any] = {"multi_valued": True}
    if column.separator not in (None, _SEPARATOR):
        options["separator"] = column.separator
    if column.is_written_list:
        options["format"] = "json"
    if most != _MAX_VALUES:
        options["max_values"] = most
    joined = "lists" if column.is_list or column.is_written_list else f"several values joined by {column.separator!r}"
    return Guess(options, f"{joined}, 95 % of the rows have {most} or fewer", rank=-1)
