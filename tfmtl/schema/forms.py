"""The forms in which every kind of feature describes itself: request tensors, model tensors, and views for reports.

Users may add kinds, but no forms. So code that reads requests, writes records or compares distributions never needs to
know the kind of a feature.
"""

from dataclasses import dataclass
from typing import Any

from tfmtl.schema.reserved import MISSING


@dataclass(frozen=True)
class RequestInput:
    """One tensor of a request. What is missing follows from its dtype: `""`, NaN or 0.

    Args:
        key: str. The argument's name in the signature.
        dtype: `"string"`, `"float32"` or `"int64"`.
        inner: shape behind the batch axis: `()` one value, `(None,)` a list, `(D,)` a vector, `(None, D)` a list of
            vectors. Defaults to `()`.
        side: `"user"`, `"item"` or `"context"`; of side `"item"` a request to rank has a row for each candidate.
            Defaults to `"context"`.
        text: str. Its content and how a missing value is written, for the page about the signature. Defaults to `""`.
        is_required: bool. Whether a serialized example must hold it. Defaults to `False`.
        is_bytes: bool. Whether a string is no text but bytes, such as a picture's, which JSON says as
            `{"b64": "..."}`. Defaults to `False`.
    """

    key: str
    dtype: str
    inner: tuple[int | None, ...] = ()
    side: str = "context"
    text: str = ""
    is_required: bool = False
    is_bytes: bool = False

    @property
    def is_list(self) -> bool:
        """Whether a row holds any number of values."""
        return bool(self.inner) and self.inner[0] is None

    @property
    def missing(self) -> Any:
        """What a request says where there is no value: of a list, that it is empty."""
        if self.is_list:
            return []
        if self.inner:
            return [MISSING[self.dtype]] * int(self.inner[0] or 0)
        return MISSING[self.dtype]


@dataclass(frozen=True)
class EncodedTensor:
    """One tensor that the model reads. Its shape is static behind the batch axis, so that XLA never sees a ragged one.

    Roles: `id`, one row of a table; `ids`, the mean of the present rows of a table; `number`, `x w + b` with learned
    `w, b`. Two more are read by the layer of the feature's kind: `lookup`, rows of a table, and `own`, any array.

    Args:
        key: str.
        role: str, one of the above.
        field: str. The field of the network that it is part of; tensors of one field are added up. What the layer of a
            kind reads is no part of a field with others.
        inner: shape behind the batch axis. Defaults to `()`.
        table: str or None. The table that ids index. Defaults to `None`.
        rows: int or None. Rows of that table, missing (0) and out of vocabulary (1) included, where they do not
            depend on the data. Defaults to `None`.
        dim: int. Width of the table. Defaults to `16`.
        is_ordered: bool. Whether neighboring ids are neighboring values, as of buckets: all of them are told apart
            where distributions are compared. Defaults to `False`.
        side: `"user"`, `"item"` or `"context"`: of side `"item"` every candidate has its own. Defaults to `"context"`.
        missing: float. What it holds in every place where the feature is missing, or its field dropped in training.
            Defaults to `0.0`.
        is_bytes: bool. Whether an `own` tensor holds whole numbers from 0 to 255, such as pixels: one byte each in
            records, of which the writer makes a slice at a time. Defaults to `False`.
        is_trained: bool. Whether training changes the rows that its ids read. Defaults to `True`.
        joins: str. The field of the network to which `field` is added together with others, of an `id` or `number`.
            Defaults to `""`: it is a field of its own.
    """

    key: str
    role: str
    field: str
    inner: tuple[int, ...] = ()
    table: str | None = None
    rows: int | None = None
    dim: int = 16
    is_ordered: bool = False
    side: str = "context"
    missing: float = 0.0
    is_bytes: bool = False
    is_trained: bool = True
    joins: str = ""

    @property
    def holds_ids(self) -> bool:
        """Whether its values are rows of a table."""
        return self.role in ("id", "ids", "lookup")

    @property
    def is_pooled(self) -> bool:
        """Whether the embedding makes the field, and not the layer of the feature's kind."""
        return self.role in ("id", "ids", "number")

    @property
    def dtype(self) -> str:
        """`"int32"` for ids, `"uint8"` for bytes, else `"float32"`."""
        if self.is_bytes:
            return "uint8"
        return "int32" if self.holds_ids else "float32"


@dataclass(frozen=True)
class View:
    """The values of an encoded feature as drift, skew, report and leak check read them.

    Args:
        form: `"ids"` (0 missing, 1 out of vocabulary), `"lists"` of such, filled up with 0, or `"numbers"`.
        values: NumPy array, `(rows,)`, or `(rows, n)` of lists.
        table: str or None. The table whose rows the ids are. Defaults to `None`.
        is_ordered: bool. As of the tensor. Defaults to `False`.
    """

    form: str
    values: Any
    table: str | None = None
    is_ordered: bool = False
