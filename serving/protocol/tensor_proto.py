"""NumPy arrays to `TensorProto` messages and back, without TensorFlow.

The functions read and write fields by name, so they serve the messages of `tensorflow_serving.apis` and the
equal ones of `tfmtl.serving.protocol.messages` alike.
"""

import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_RANK = 32

# DataType number -> (dtype name as TensorFlow spells it, the TensorProto field that carries its values).
_DATA_TYPES = {
    1: ("float32", "float_val"),
    2: ("float64", "double_val"),
    3: ("int32", "int_val"),
    4: ("uint8", "int_val"),
    5: ("int16", "int_val"),
    6: ("int8", "int_val"),
    7: ("string", "string_val"),
    9: ("int64", "int64_val"),
    10: ("bool", "bool_val"),
    17: ("uint16", "int_val"),
    19: ("float16", "half_val"),
    22: ("uint32", "uint32_val"),
    23: ("uint64", "uint64_val"),
}
# Known by name only: such a tensor does not travel.
_OTHER_DATA_TYPE_NAMES = {8: "complex64", 14: "bfloat16", 18: "complex128", 20: "resource", 21: "variant"}
_DATA_TYPE_NUMBERS = {name: number for number, (name, _) in _DATA_TYPES.items()}
# Made once: NumPy takes longer to understand a name than to read a row.
_LITTLE_ENDIAN = {name: np.dtype(name).newbyteorder("<") for name in _DATA_TYPE_NUMBERS if name != "string"}
_CARRIERS = {name: np.dtype({"string": object, "float16": np.uint16}.get(name, name)) for name in _DATA_TYPE_NUMBERS}
DTYPES = tuple(_DATA_TYPE_NUMBERS)  # the dtypes that travel


def dtype_name(array: npt.NDArray[Any]) -> str:
    """Returns the dtype of `array` as TensorFlow spells it; an object array holds strings."""
    return "string" if array.dtype.kind == "O" else _text(array.dtype)


@cache
def _text(dtype: np.dtype[Any]) -> str:
    """As text, which NumPy makes anew each time."""
    return str(dtype)


def data_type_name(number: int) -> str:
    """Returns the name of a `DataType` number, such as `"float32"` for 1."""
    if number in _DATA_TYPES:
        return _DATA_TYPES[number][0]
    return _OTHER_DATA_TYPE_NAMES.get(number, f"DataType({number})")


def array_to_tensor(array: npt.NDArray[Any], tensor: Any) -> None:
    """Writes `array` into the empty message `tensor`.

    Values go to the typed fields (`float_val`, ...) and not to `tensor_content`: TF Serving answers so, and
    its clients read those fields.

    Args:
        array: array of any shape; dtype object means a string tensor and must hold `bytes`.
        tensor: a `TensorProto`.

    Raises:
        ValueError: if no `DataType` number is known for the dtype.
    """
    name = dtype_name(array)
    if name not in _DATA_TYPE_NUMBERS:
        raise ValueError(
            f"array_to_tensor: `array` must have a dtype of {sorted(_DATA_TYPE_NUMBERS)}. "
            f"Received: dtype={name}. Cast it first."
        )
    tensor.dtype = _DATA_TYPE_NUMBERS[name]
    for size in array.shape:
        tensor.tensor_shape.dim.add().size = size
    values = array.view(np.uint16) if name == "float16" else array
    getattr(tensor, _DATA_TYPES[tensor.dtype][1]).extend(values.ravel().tolist())


def tensor_to_array(tensor: Any, shape: tuple[int | None, ...] | None = ()) -> npt.NDArray[Any]:
    """Reads a `TensorProto` in either of its forms: typed fields or `tensor_content`.

    As TensorFlow does, a typed field with fewer values than the shape holds repeats its last value, and one with no
    value is all zero; `tensor_content` has to be whole. Such a tensor may not grow beyond `MAX_MESSAGE_BYTES`, so
    that a few bytes cannot make the reader allocate gigabytes.

    Args:
        tensor: a `TensorProto`.
        shape: of a `TensorSpec` that was read from it, where there is one, for reading it takes as long as the
            values do. Defaults to `()`, which reads it.

    Returns:
        A new array; string tensors become object arrays of `bytes`.

    Raises:
        ValueError: if the dtype is not one of those that travel, or values and shape disagree.
    """
    number = tensor.dtype
    if number not in _DATA_TYPES:
        raise ValueError(f"dtype {data_type_name(number)} is not supported; use one of {sorted(_DATA_TYPE_NUMBERS)}")
    name, field = _DATA_TYPES[number]
    if shape == ():
        sizes = tensor.tensor_shape
        shape = None if sizes.unknown_rank else tuple([dim.size if dim.size >= 0 else None for dim in sizes.dim])
    known = tuple([size for size in shape or () if size is not None])
    if shape is None or len(known) < len(shape):
        raise ValueError("tensor_shape must be fully known")
    if len(known) > MAX_RANK:
        raise ValueError(f"tensor_shape must not have more than {MAX_RANK} dimensions; it has {len(known)}")
    try:
        values = _read_values(tensor, name, field)
        size = math.prod(known)
        if values.size < size and not tensor.tensor_content:
            values = _repeat_last_value(values, size)
        return values if values.shape == known else values.reshape(known)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"values do not fit dtype {name} and shape {list(known)}: {error}") from error


def _read_values(tensor: Any, name: str, field: str) -> npt.NDArray[Any]:
    content = tensor.tensor_content
    if content:
        if name == "string":
            raise ValueError("strings travel in string_val, not in tensor_content")
        return np.frombuffer(content, _LITTLE_ENDIAN[name]).astype(name)
    values = np.fromiter(getattr(tensor, field), _CARRIERS[name])
    return values.view(np.float16) if name == "float16" else values


def _repeat_last_value(values: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    last: Any = values[-1] if values.size else (b"" if values.dtype == object else 0)
    value_bytes = max(values.dtype.itemsize, len(last) if values.dtype == object else 0)
    if size * value_bytes > MAX_MESSAGE_BYTES:
        raise ValueError(f"{values.size} values would be repeated to more than {MAX_MESSAGE_BYTES} bytes")
    filled = np.empty(size, values.dtype)
    filled.fill(last)  # np.full would cut zero bytes off the end of text
    filled[: values.size] = values
    return filled
