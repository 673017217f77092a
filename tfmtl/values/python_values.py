"""Arrow columns as the NumPy arrays and Python lists of a request."""

from typing import Any

import pyarrow as pa

from tfmtl.values.plain_arrow import plain


def python_values(values: Any) -> Any:
    """Numbers without nulls as a NumPy array, everything else as a list of Python values.

    A decimal is an int where it is whole and a float elsewhere.

    Args:
        values: `pa.Array` or `pa.ChunkedArray` of any type.
    """
    chunks = [plain(chunk) for chunk in values.chunks] if isinstance(values, pa.ChunkedArray) else [plain(values)]
    array = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], values.type)
    kind = array.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if is_number and not array.null_count:
        return array.to_numpy(zero_copy_only=False)
    listed = array.to_pylist()
    return [_number(value) for value in listed] if pa.types.is_decimal(kind) else listed


def _number(value: Any) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)
