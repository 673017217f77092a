"""Merge requests of one signature into a batch, and split its answer."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tfmtl.schema.reserved import filling
from tfmtl.serving.protocol.signature import Signature
from tfmtl.serving.protocol.tensor_proto import dtype_name

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

# Lists up to this length are filled up to the longest of the batch; beyond it, to no more than twice their length.
_SHORT_LIST = 64


def is_batchable(signature: Signature) -> bool:
    """Whether every input and output has a row for each example; `rank`, with one row for the user, has not."""
    return all(spec.is_batched for spec in (*signature.inputs.values(), *signature.outputs.values()))


def is_fillable(signature: Signature) -> bool:
    """Whether lists can be filled up: the free length of an input shows in no output."""
    return not any(None in (spec.shape or ())[1:] for spec in signature.outputs.values())


def batch_key(inputs: Arrays, fills: bool) -> Hashable:
    """The key that two requests of a batchable signature must share to be in one batch.

    Args:
        inputs: mapping of input name to array, of at least one dimension.
        fills: bool. Whether shorter lists are filled up, and the lists of these.
    """
    shapes = [(name, array.shape[1:]) for name, array in sorted(inputs.items())]
    if not fills:
        return tuple(shapes)
    longest = max((size for _, shape in shapes for size in shape), default=0)
    return longest.bit_length() if longest > _SHORT_LIST else 0


def merge_rows(requests: Sequence[Arrays]) -> dict[str, npt.NDArray[Any]]:
    """Concatenates requests of one `batch_key`; shorter lists are filled up with what stands for a missing value.

    That is what a client is told to do for the requests of several rows: `b""`, `0` or `NaN`.
    """
    return {name: _concatenate([inputs[name] for inputs in requests]) for name in requests[0]}


def split_rows(outputs: Arrays, sizes: Sequence[int]) -> list[dict[str, npt.NDArray[Any]]]:
    """The rows of each request.

    Args:
        outputs: mapping of output name to array.
        sizes: the number of rows of each request.

    Raises:
        ValueError: if an output has not a row for each row of the batch.
    """
    total = sum(sizes)
    for name, array in outputs.items():
        if array.shape[:1] != (total,):
            raise ValueError(f"output {name!r} has shape {array.shape} for a batch of {total} rows")
    ends = np.cumsum(sizes).tolist()
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(sizes, ends, strict=True)
    ]


def _concatenate(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return np.concatenate(arrays)
    longest = np.max([array.shape[1:] for array in arrays], axis=0)
    merged = np.full((sum(map(len, arrays)), *longest), filling(dtype_name(arrays[0])), arrays[0].dtype)
    start = 0
    for array in arrays:
        merged[(slice(start, start + len(array)), *map(slice, array.shape[1:]))] = array
        start += len(array)
    return merged
