"""Convert the raw values of requests to the arrays that a model takes, in one place for all who do.

Clients, `tfmtl predict`, golden answers, warm-up and replay call it; tensors of a message do not pass here.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from tfmtl.schema.reserved import JOINT, filling
from tfmtl.schema.spelling import spelled

Where = Callable[[int], str]


class RequestError(ValueError):
    """A value of a request is not what the model takes.

    Args:
        message: str. What the feature must be and what was received.
        feature: str. Its name.
        row: int or None. The row at fault, counted from 0. Defaults to None, where no single row is.
    """

    def __init__(self, message: str, feature: str, row: int | None = None) -> None:
        super().__init__(message)
        self.feature = feature
        self.row = row


class InputSpec(Protocol):
    """dtype, as TensorFlow spells it, and shape of a model's input, `None` where the rank is unknown."""

    @property
    def dtype(self) -> str: ...

    @property
    def shape(self) -> tuple[int | None, ...] | None: ...


class PlainSpec(NamedTuple):
    """An `InputSpec` and nothing else."""

    dtype: str
    shape: tuple[int | None, ...] | None


_FLOATS = ("float16", "float32", "float64")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
# dtype -> (types of a value, a value in words, the values of a list in words)
_KINDS: dict[str, tuple[tuple[type, ...], str, str]] = {
    "string": (
        (str, bytes, dict, int, float, np.bool_, np.integer, np.floating),
        'text, "" where it is missing',
        'text, "" where it is missing',
    ),
    "bool": ((bool, np.bool_), "True or False", "True or False"),
    **dict.fromkeys(
        _FLOATS,
        (
            (int, float, np.integer, np.floating),
            "a number, NaN where it is missing",
            "numbers, NaN where one is missing",
        ),
    ),
    **dict.fromkeys(_INTEGERS, ((int, np.integer), "a whole number", "whole numbers")),
}
_NULL_TYPES = ("NoneType", "NAType", "NaTType")
_MAX_SHOWN = 60


def make_array(name: str, values: Any, spec: InputSpec, where: Where = "row {}".format) -> npt.NDArray[Any]:
    """Returns the values of one feature as an array of the model's dtype.

    Lists of different lengths are filled up, where the model leaves the length free: text with `""`, floats with NaN,
    whole numbers with `0`; so is a list of fixed length given as `[]` or `None`. Numbers change their dtype where none
    of them changes by more than a float's rounding; for a text feature they are written as preprocessing writes a log's
    numbers, see `tfmtl.schema.spelling`.

    Args:
        name: str. The feature.
        values: an array, or a sequence with a value (or a list of values) a row.
        spec: InputSpec. What the model takes.
        where: name of a row in messages, by its number. Defaults to `"row 0"`, `"row 1"`, ...

    Raises:
        RequestError: it tells feature and row, what a value must be and what was received.
    """
    if spec.dtype not in _KINDS:
        raise RequestError(f"predict: feature {name!r} has dtype {spec.dtype}, which cannot be sent.", name)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return _cast(name, values, spec, where)
    return _convert(name, values, spec, where)


def check_events(columns: Mapping[str, Any], specs: Mapping[str, InputSpec], where: Where = "row {}".format) -> None:
    """Raises `RequestError` unless the columns of a sequence have as many values in each row: an entry is an event.

    Filled up to one length they would pass as events that lack a column, and each would meet another's values.

    Args:
        columns: feature -> lists; the features `<sequence>__<column>` of a sequence belong together.
        specs: feature -> InputSpec.
        where: name of a row in messages, by its number. Defaults to `"row 0"`, `"row 1"`, ...
    """
    first: dict[str, tuple[str, list[int]]] = {}
    for name, values in columns.items():
        sequence, joint, _ = name.partition(JOINT)
        shape = specs[name].shape
        if not joint or shape is None or len(shape) < 2 or shape[1] is not None:
            continue
        lengths = [len(row) for row in values]
        other, expected = first.setdefault(sequence, (name, lengths))
        for row, (length, wanted) in enumerate(zip(lengths, expected, strict=False)):
            if length != wanted:
                raise RequestError(
                    f"{where(row)}: feature {name!r} must have a value for each of the {wanted} events of {other!r}. "
                    f"Received: {length} values.",
                    name,
                    row,
                )


# === Arrays ===


def _cast(name: str, array: npt.NDArray[Any], spec: InputSpec, where: Where) -> npt.NDArray[Any]:
    """Numbers in the model's dtype."""
    if array.size == 0:
        # A frame without rows does not say what its columns hold.
        shape = array.shape + tuple([size or 0 for size in (spec.shape or ())[array.ndim :]])
        return np.empty(shape, _numpy_dtype(spec.dtype))
    if str(array.dtype) == spec.dtype:
        return array
    kind = "string" if spec.dtype == "string" else np.dtype(spec.dtype).kind

    def refuse(is_wrong: npt.NDArray[Any]) -> NoReturn:
        index = int(np.flatnonzero(is_wrong)[0])
        _refuse(name, array.ravel()[index].item(), spec, where, index // max(1, math.prod(array.shape[1:])))

    if kind == "string":
        if array.dtype.kind == "f" and np.isnan(array).any():
            refuse(np.isnan(array))
        distinct, places = np.unique(array, return_inverse=True)
        return np.array([spelled(value).encode() for value in distinct], object)[places].reshape(array.shape)
    if array.dtype.kind not in {"f": "iuf", "i": "iu", "u": "iu"}.get(kind, ""):
        is_nan = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        refuse(is_nan if is_nan.any() else np.ones(array.shape, bool))
    with np.errstate(over="ignore"):
        cast = array.astype(spec.dtype)
    if array.dtype.kind == "f":
        is_changed = np.isinf(cast) & np.isfinite(array)
    else:
        is_changed = (cast.astype(array.dtype) != array) | ((cast < 0) != (array < 0))
    if is_changed.any():
        refuse(is_changed)
    return cast


# === Lists ===


def _convert(name: str, values: Any, spec: InputSpec, where: Where) -> npt.NDArray[Any]:
    """Nested lists, flattened level by level; `places` says where each value lies in the filled-up array."""
    sizes = spec.shape if spec.shape is not None else (None,) * _depth(values)
    types, _, _ = _KINDS[spec.dtype]
    shape: list[int] = []
    nodes, places = [values], np.zeros(1, np.int64)

    def row_of(index: int) -> int:
        return int(places[index]) // max(1, math.prod(shape[1:]))

    for axis, size in enumerate(sizes):
        may_lack = bool(axis) and size is not None and spec.dtype != "bool"
        lists = [[] if node is None and may_lack else _as_list(node) for node in nodes]
        for index, node in enumerate(lists):
            if node is None:
                if axis == 0:
                    received = getattr(values, "dtype", type(values).__name__)
                    raise RequestError(
                        f"predict: feature {name!r} must be a list with {_KINDS[spec.dtype][1].split(',')[0]} a row. "
                        f"Received: {received}.",
                        name,
                    )
                _refuse(name, nodes[index], spec, where, row_of(index), lacks_list=True)
        whole: list[Sequence[Any]] = [node for node in lists if node is not None]
        lengths = np.array([len(node) for node in whole], np.int64)
        width = int(lengths.max(initial=0)) if size is None else size
        odd = np.flatnonzero((lengths != width) & ((lengths != 0) | (not may_lack)))
        if len(odd) and (size is not None or spec.dtype == "bool"):
            row = row_of(int(odd[0])) if axis else 0
            raise RequestError(
                f"{where(row)}: feature {name!r} must hold {width} {'values' if axis else 'rows'}"
                f"{'' if size is not None else ', as other rows do'}. Received: {int(lengths[odd[0]])}.",
                name,
                row,
            )
        starts = np.cumsum(lengths) - lengths
        inside = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
        places = np.repeat(places * width, lengths) + inside
        shape.append(width)
        nodes = list(chain.from_iterable(whole))
    wrong = {type(leaf) for leaf in nodes if not isinstance(leaf, types) or _is_no_number(leaf, spec.dtype)}
    if wrong:
        index = next(index for index, leaf in enumerate(nodes) if type(leaf) in wrong)
        _refuse(name, nodes[index], spec, where, row_of(index))
    array = np.full(math.prod(shape), filling(spec.dtype), _numpy_dtype(spec.dtype))
    array[places] = _read_leaves(
        nodes, spec.dtype, lambda index: _refuse(name, nodes[index], spec, where, row_of(index))
    )
    return array.reshape(shape)


def _read_leaves(leaves: list[Any], dtype: str, refuse: Callable[[int], NoReturn]) -> npt.NDArray[Any]:
    """Values of the right types in the model's dtype; refuses what that cannot hold."""
    if dtype == "bool":
        return np.array(leaves, bool)
    if dtype == "string":
        text = np.empty(len(leaves), object)
        for index, leaf in enumerate(leaves):
            try:
                text[index] = as_bytes(leaf)
            except ValueError:  # not UTF-8, or not base64
                refuse(index)
            if text[index] == b"" and leaf not in ("", b"", {"b64": ""}):  # NaN
                refuse(index)
        return text
    if dtype in _INTEGERS:
        bounds = np.iinfo(dtype)
        for index, leaf in enumerate(leaves):
            if not bounds.min <= leaf <= bounds.max:
                refuse(index)
        return np.array(leaves, dtype)
    try:
        exact = np.array(leaves, np.float64)
    except OverflowError:  # an integer of hundreds of digits
        refuse(next(index for index, leaf in enumerate(leaves) if abs(leaf) >= 2**1023))
    with np.errstate(over="ignore"):
        cast = exact.astype(dtype)
    is_changed = np.isinf(cast) & np.isfinite(exact)
    for index in np.flatnonzero(np.isfinite(cast) & (np.abs(exact) > 2**11)).tolist():  # whole numbers below are exact
        is_changed[index] = isinstance(leaves[index], int | np.integer) and int(cast[index]) != leaves[index]
    if is_changed.any():
        refuse(int(np.flatnonzero(is_changed)[0]))
    return cast


def as_bytes(leaf: Any) -> bytes:
    """A value of a string feature as bytes: text, bytes, a number, or TF Serving's `{"b64": "..."}`.

    Raises:
        ValueError: a dict is something else, or its text is not base64.
    """
    if isinstance(leaf, str):
        return leaf.encode()
    if isinstance(leaf, dict):
        if set(leaf) != {"b64"} or not isinstance(leaf["b64"], str):
            raise ValueError('bytes are written {"b64": "..."}')
        return base64.b64decode(leaf["b64"], validate=True)
    return bytes(leaf) if isinstance(leaf, bytes) else spelled(leaf).encode()


def _numpy_dtype(dtype: str) -> npt.DTypeLike:
    return object if dtype == "string" else dtype


def _as_list(node: Any) -> Sequence[Any] | None:
    """The values of a list, or None if it is none."""
    if isinstance(node, np.ndarray):
        return node.tolist() if node.ndim and node.dtype.kind in "biufOUS" else None
    return node if isinstance(node, list | tuple) else None


def _depth(values: Any) -> int:
    depth = 0
    while (inside := _as_list(values)) is not None:
        depth += 1
        if not inside:
            break
        values = inside[0]
    return depth


def _is_no_number(leaf: Any, dtype: str) -> bool:
    """Python's booleans are integers, and not what is meant by one."""
    return isinstance(leaf, bool) and dtype not in ("bool", "string")


def _refuse(name: str, value: Any, spec: InputSpec, where: Where, row: int, lacks_list: bool = False) -> NoReturn:
    """Raises the error of one value, which should have been a list or is not what the model takes."""
    _, one, many = _KINDS[spec.dtype]
    if lacks_list:
        wanted = f"be a list of {many.split(',')[0]}, [] where it is missing"
    elif spec.shape is not None and len(spec.shape) > 1:
        wanted = f"hold {many}"
    else:
        wanted = f"be {one}"
    text = repr(value)
    text = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    raise RequestError(
        f"{where(row)}: feature {name!r} must {wanted} ({spec.dtype}). "
        f"Received: {text} ({type(value).__name__}).{_advice(value, spec.dtype)}",
        name,
        row,
    )


def _advice(value: Any, dtype: str) -> str:
    if type(value).__name__ in _NULL_TYPES:
        return " A null is not sent: fill it in."
    if isinstance(value, float) and math.isnan(value) and dtype not in _FLOATS:
        return " NaN is for features of floats: fill it in." if dtype != "string" else ' Fill it in with "".'
    if dtype in _INTEGERS and isinstance(value, float):
        return " Cast it, if it is whole."
    if dtype in _FLOATS and isinstance(value, int) and not isinstance(value, bool):
        return " It does not fit without loss: give it as a float, to have it rounded."
    return ""
