"""A client's features as arrays that can be sent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.signature import TensorSpec
from serving.tensor_proto import dtype_name

_NUMBER_KINDS = "biuf"  # boolean, signed, unsigned, floating
_CASTABLE = {"string", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16"}
_CASTABLE |= {"uint32", "uint64"}


def make_feature_arrays(features: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Converts each feature to an array of the dtype it is sent with.

    A NumPy array keeps its dtype. In anything else Python's floats become float32 and its integers int64, the
    dtypes of exported features, and text becomes UTF-8 `bytes` in an object array. An empty list counts as text.
    See `cast_arrays` for where the model's own dtypes are known.

    Args:
        features: mapping of feature name to an array or to nested lists of one length at each depth.

    Returns:
        Mapping of feature name to array.

    Raises:
        ValueError: if a feature is ragged.
        TypeError: if a feature holds anything but numbers, booleans, `str` and `bytes`.
    """
    return {name: _make_array(name, values) for name, values in features.items()}


def cast_arrays(arrays: Mapping[str, npt.NDArray[Any]], specs: Mapping[str, TensorSpec]) -> dict[str, npt.NDArray[Any]]:
    """Gives numbers the dtype that the model takes, where none of them changes by more than a float's rounding.

    An empty array takes any dtype. What does not fit is returned as it is: the server says what it wants.

    Args:
        arrays: mapping of feature name to array, as `make_feature_arrays` makes them.
        specs: mapping of input name to `TensorSpec`.

    Returns:
        Mapping of feature name to array.
    """
    return {name: _cast(array, specs[name]) if name in specs else array for name, array in arrays.items()}


def _cast(array: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    if dtype_name(array) == spec.dtype or spec.dtype not in _CASTABLE:
        return array
    dtype = np.dtype(object if spec.dtype == "string" else spec.dtype)
    if array.size == 0:
        return np.empty(array.shape, dtype)
    if not {array.dtype.kind, dtype.kind} <= set("iuf") or not np.can_cast(array.dtype, dtype, "same_kind"):
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    is_kept = array.dtype.kind == "f" or np.array_equal(cast.astype(array.dtype), array)
    return cast if is_kept else array


def _make_array(name: str, values: Any) -> npt.NDArray[Any]:
    if isinstance(values, np.ndarray) and values.dtype.kind in _NUMBER_KINDS:
        return values
    # As objects: NumPy would turn [1, "a"] into text and cut zero bytes off the end of bytes.
    array = np.asarray(values, dtype=object)
    leaves = [value.item() if isinstance(value, np.generic) else value for value in array.ravel()]
    types = {type(leaf) for leaf in leaves}
    if types & {list, tuple, np.ndarray}:
        raise ValueError(
            f"predict: feature {name!r} must hold lists of one length at each depth. "
            f"Received: shape {array.shape} with lists left inside. Pad them to one length."
        )
    if types <= {str, bytes}:
        text = np.empty(len(leaves), object)
        text[:] = [leaf.encode() if isinstance(leaf, str) else leaf for leaf in leaves]
        return text.reshape(array.shape)
    for number_types, dtype in (({bool}, "bool"), ({int}, "int64"), ({int, float}, "float32")):
        if types <= number_types:
            return np.array(leaves, dtype).reshape(array.shape)
    raise TypeError(
        f"predict: feature {name!r} must hold numbers, booleans or text, all of one kind. "
        f"Received: types {sorted(each.__name__ for each in types)}. Fill in missing values first."
    )
