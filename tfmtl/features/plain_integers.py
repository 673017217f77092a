"""Arrays of whole numbers as text for JSON, in as few bytes as the largest one needs."""

import base64

import numpy as np

_TYPES = ("<i1", "<i2", "<i4", "<i8")
_BEFORE = "<i8"  # the type of texts that do not name it: those of an earlier version


def to_text(values: np.ndarray) -> str:
    """The type, a colon, and base64 of the values.

    Args:
        values: int64 `(N,)`.

    Example:

    >>> to_text(np.array([1, -2]))
    '<i1:Af4='
    """
    least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    dtype = next(each for each in _TYPES if np.iinfo(each).min <= least and most <= np.iinfo(each).max)
    return f"{dtype}:{base64.b64encode(values.astype(dtype).tobytes()).decode()}"


def from_text(text: str) -> np.ndarray:
    """Reads what `to_text` made, int64 `(N,)`.

    Example:

    >>> from_text("<i1:Af4=")
    array([ 1, -2])
    """
    dtype, _, encoded = text.rpartition(":")
    if dtype not in ("", *_TYPES):
        raise ValueError(f"integers in a fitted file must be of one of the types {_TYPES}. Received: {dtype!r}.")
    return np.frombuffer(base64.b64decode(encoded), dtype or _BEFORE).astype(np.int64)
