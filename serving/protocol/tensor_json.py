"""NumPy arrays to TF Serving's JSON and back, in its row and its column form."""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.serving.protocol.signature import Signature, TensorSpec
from tfmtl.serving.protocol.tensor_proto import MAX_RANK, dtype_name
from tfmtl.serving.serving_error import ServingError, invalid_argument, quote

Json = Any
Arrays = dict[str, npt.NDArray[Any]]


# From here on two integers can share one value, or a finite number becomes infinite.
_EXACT_INTEGERS = {"float16": 2**11, "float32": 2**24, "float64": 2**53}
_ROUNDED_TO_INFINITY = {"float16": 65520.0, "float32": 2.0**128 - 2.0**103, "float64": math.inf}
_INTEGER_RANGES = {
    name: (int(np.iinfo(name).min), int(np.iinfo(name).max))
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
_BYTES_SUFFIX = "_bytes"  # outputs whose name ends so are answered in base64


def rows_to_arrays(instances: Json, signature: Signature) -> Arrays:
    """Reads `{"instances": [...]}`: one object per row, or one bare value per row for a signature of one input.

    Args:
        instances: the parsed JSON value under `"instances"`.
        signature: Signature. Gives names and dtypes.

    Returns:
        Mapping of input name to array; the first dimension is the number of rows.

    Raises:
        ServingError: `INVALID_ARGUMENT`, naming the row and the feature.
    """
    if not isinstance(instances, list) or not instances:
        raise invalid_argument("'instances' must be a list of at least one row.")
    rows = [row if _is_named(row) else _name_bare_value(row, signature, "instances") for row in instances]
    if len({_is_named(row) for row in instances}) > 1:
        raise invalid_argument("'instances' must be all objects or all bare values, not a mix of both.")
    for index, row in enumerate(rows):
        try:
            signature.check_input_names(row)
        except ServingError as error:
            raise invalid_argument(f"instances[{index}]: {error.message}") from error
    arrays = {}
    for name, spec in signature.inputs.items():
        column = [row[name] for row in rows]
        shapes = [_leading_shape(value) for value in column]
        for index, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise invalid_argument(
                    f"instances[{index}]: input {name!r} must have the shape it has in instances[0], "
                    f"{list(shapes[0])}. Received: {list(shape)}. Pad the rows to one length."
                )
        arrays[name] = json_to_array(name, column, spec)
    return arrays


def columns_to_arrays(inputs: Json, signature: Signature) -> Arrays:
    """Reads `{"inputs": ...}`: an object of whole tensors, or one tensor for a signature of one input.

    Args:
        inputs: the parsed JSON value under `"inputs"`.
        signature: Signature. Gives names and dtypes.

    Returns:
        Mapping of input name to array.

    Raises:
        ServingError: `INVALID_ARGUMENT`, naming the feature.
    """
    columns = inputs if _is_named(inputs) else _name_bare_value(inputs, signature, "inputs")
    signature.check_input_names(columns)
    return {name: json_to_array(name, columns[name], spec) for name, spec in signature.inputs.items()}


def arrays_to_rows(outputs: Mapping[str, npt.NDArray[Any]]) -> Json:
    """Returns the value of `"predictions"`: one object per row, or one bare value per row for a lone output.

    Args:
        outputs: mapping of output name to array, all with the same first dimension.

    Raises:
        ServingError: `INVALID_ARGUMENT`, as TF Serving, if the outputs do not share a batch dimension, and
            whatever `array_to_json` raises.
    """
    sizes = {name: array.shape[:1] for name, array in outputs.items()}
    if len(set(sizes.values())) != 1 or () in sizes.values():
        shapes = {name: list(array.shape) for name, array in outputs.items()}
        raise invalid_argument(
            f"Outputs must share a batch dimension to be answered in rows. Received: shapes {shapes}. "
            "Send the request in the column form, 'inputs'."
        )
    columns = {name: array_to_json(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def arrays_to_columns(outputs: Mapping[str, npt.NDArray[Any]]) -> Json:
    """Returns the value of `"outputs"`: an object of whole tensors, or the bare tensor of a lone output."""
    columns = {name: array_to_json(name, array) for name, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def json_to_array(name: str, value: Json, spec: TensorSpec) -> npt.NDArray[Any]:
    """Reads one tensor from nested lists.

    As TF Serving: an integer is welcome where a float is expected if it loses no precision, never the other
    way round; strings are text or `{"b64": "..."}`; `NaN` and `Infinity` are numbers.

    Args:
        name: str. The feature's name, for messages.
        value: a scalar or nested lists, all of one length at each depth.
        spec: TensorSpec. Its dtype decides how values are read; the shape is not checked here.

    Raises:
        ServingError: `INVALID_ARGUMENT` if the lists are ragged or a value is not of the dtype.
    """
    if spec.dtype not in _READERS:
        raise ServingError("UNIMPLEMENTED", f"Input {name!r} has dtype {spec.dtype}, which JSON does not carry.")
    shape = _leading_shape(value)
    if len(shape) > MAX_RANK:
        raise invalid_argument(f"Input {name!r} must not be nested deeper than {MAX_RANK} lists.")
    values: list[Json] = [value]
    for size in shape:
        values = [item for items in values for item in _check_list(name, items, size)]
    read = _READERS[spec.dtype]
    try:
        leaves = [read(item, spec.dtype) for item in values]
    except ValueError as error:
        raise invalid_argument(f"Input {name!r} must have dtype {spec.dtype}. Received: {error}.") from error
    if shape and shape[-1] == 0 and spec.shape is not None:
        # An empty list says nothing of what would be in it: no row of lists is written as no row of values.
        shape += tuple([size or 0 for size in spec.shape[len(shape) :]])
    array = np.empty(math.prod(shape), object if spec.dtype == "string" else spec.dtype)
    array[:] = leaves
    return array.reshape(shape)


def array_to_json(name: str, array: npt.NDArray[Any]) -> Json:
    """Returns an array as nested lists.

    float32 is written with the digits that tell it from its neighbors (0.1 and not 0.10000000149011612), and
    reads back to the same float32.

    Args:
        name: str. The output's name; strings of an output named `..._bytes` are answered in base64.
        array: array of any shape.

    Raises:
        ServingError: `FAILED_PRECONDITION` for strings that are not UTF-8 in an output of another name,
            `UNIMPLEMENTED` for a dtype JSON does not carry.
    """
    dtype = dtype_name(array)
    if dtype not in _READERS:
        raise ServingError("UNIMPLEMENTED", f"Output {name!r} has dtype {dtype}, which JSON does not carry.")
    if dtype in ("float16", "float32"):
        return array.astype(str).astype(np.float64).tolist()
    if dtype != "string":
        return array.tolist()
    encode = bytes_to_base64 if name.endswith(_BYTES_SUFFIX) else bytes.decode
    try:
        return strings_to_json(array, encode)
    except UnicodeDecodeError as error:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"Output {name!r} holds bytes that are not UTF-8. "
            f"Export it as '{name}{_BYTES_SUFFIX}' to have it answered in base64.",
        ) from error


def strings_to_json(array: npt.NDArray[Any], encode: Callable[[bytes], Json]) -> Json:
    """Returns an object array of `bytes` as nested lists, each string written by `encode`."""
    # Without `out`, a scalar array would come back as the bare value.
    return np.frompyfunc(encode, 1, 1)(array, out=np.empty(array.shape, object)).tolist()


def bytes_to_base64(value: bytes) -> dict[str, str]:
    """Returns the JSON object that stands for arbitrary bytes."""
    return {"b64": base64.b64encode(value).decode()}


def _is_named(value: Json) -> bool:
    """Whether a row, or the whole column form, names its inputs."""
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _name_bare_value(value: Json, signature: Signature, key: str) -> dict[str, Json]:
    if len(signature.inputs) != 1:
        raise invalid_argument(
            f"Signature {signature.name!r}: {key!r} must name its inputs, {sorted(signature.inputs)}. "
            f"Received: {quote(value)}. Bare values are for signatures of one input."
        )
    return dict.fromkeys(signature.inputs, value)


def _leading_shape(value: Json) -> tuple[int, ...]:
    """Returns the shape of nested lists, if they are regular, by following the first element."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _check_list(name: str, value: Json, size: int) -> list[Json]:
    if not isinstance(value, list):
        raise invalid_argument(
            f"Input {name!r} must be nested to one depth. Received: {quote(value)} beside lists of {size}."
        )
    if len(value) != size:
        raise invalid_argument(
            f"Input {name!r} must hold lists of one length. Received: lengths {size} and {len(value)}. Pad them."
        )
    return value


def _read_float(value: Json, dtype: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_describe(value))
    if isinstance(value, int):
        if abs(value) >= _EXACT_INTEGERS[dtype]:
            raise ValueError(f"{quote(value)}, an integer that {dtype} cannot hold without loss of precision")
    elif math.isfinite(value) and abs(value) >= _ROUNDED_TO_INFINITY[dtype]:
        raise ValueError(f"{value}, beyond the range of {dtype}")
    return float(value)


def _read_integer(value: Json, dtype: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(_describe(value))
    low, high = _INTEGER_RANGES[dtype]
    if not low <= value <= high:
        raise ValueError(f"{quote(value)}, beyond the range of {dtype}")
    return value


def _read_bool(value: Json, dtype: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_describe(value))
    return value


def _read_string(value: Json, dtype: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not _is_base64(value):
        raise ValueError(_describe(value))
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{quote(value)}, which is not base64 ({error})") from error


def _describe(value: Json) -> str:
    kinds = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return f"{quote(value)} ({kinds.get(type(value), 'number')})"


_READERS: dict[str, Callable[[Json, str], Any]] = {
    "bool": _read_bool,
    "string": _read_string,
    **dict.fromkeys(_EXACT_INTEGERS, _read_float),
    **dict.fromkeys(_INTEGER_RANGES, _read_integer),
}
