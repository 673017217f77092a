"""Raw values as far as records tell them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfmtl.schema.features.fixed_scales import LOG_SCALE, NONE, id_key, number_key
from tfmtl.schema.reserved import MISSING_ID, RESERVED_IDS

_DIGITS = 6
UNKNOWN = "<out of vocabulary>"
GIVEN = "given"


@dataclass(frozen=True)
class Decoded:
    """One value a row, read back from records.

    Args:
        values: `pa.Array` of texts or float64, null where missing. A text out of the vocabulary is `UNKNOWN`; of a
            number in buckets it is the lower boundary.
        known: the texts that there can be, in the order of their ids. Defaults to `None`: these are numbers.
        boundaries: of the buckets, where the bucket is all that is known of a number. Defaults to `None`.
    """

    values: pa.Array
    known: tuple[str, ...] | None = None
    boundaries: tuple[float, ...] | None = None


def decode_texts(ids: npt.NDArray[np.int32], known: tuple[str, ...]) -> Decoded:
    """The texts of a vocabulary.

    Args:
        ids: `(N,)`, 0 missing and 1 out of vocabulary.
        known: the texts from id 2 on.
    """
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.maximum(ids - 1, 0), mask=ids == MISSING_ID), pa.array([UNKNOWN, *known])
    )
    return Decoded(texts.cast(pa.string()), known)


def decode_buckets(ids: npt.NDArray[np.int32], boundaries: tuple[float, ...]) -> Decoded:
    """The lower boundary of each number's bucket, `-inf` of the lowest.

    Args:
        ids: `(N,)`, 0 missing.
        boundaries: rising; between neighbors of them lies a bucket.
    """
    lower = np.array([-np.inf, *boundaries])[np.maximum(ids - RESERVED_IDS, 0)]
    return Decoded(pa.array(lower, pa.float64(), mask=ids == MISSING_ID), boundaries=boundaries)


def decode_scaled(scaled: npt.NDArray[np.float32], mean: float, deviation: float, logarithmic: bool) -> Decoded:
    """Numbers from their distance to the mean, at six digits; what was missing is the mean.

    Args:
        scaled: `(N,)`.
        mean: float. After the logarithm, if there was any.
        deviation: float. Likewise.
        logarithmic: whether `sign(x) * log(1 + |x|)` was scaled.
    """
    values = scaled.astype(np.float64) * (deviation or 1.0) + mean
    return Decoded(pa.array(rounded(np.sign(values) * np.expm1(np.abs(values)) if logarithmic else values)))


def decode_given(is_given: npt.NDArray[np.bool_]) -> Decoded:
    """The text `given`, or nothing: of values that records do not tell.

    Args:
        is_given: `(N,)`.
    """
    return Decoded(pa.array(np.where(is_given, GIVEN, ""), pa.string(), mask=~is_given), (GIVEN,))


def decode_fixed(encoded: Mapping[str, np.ndarray], field: str, scale: str, zero_if_none: bool = False) -> Decoded:
    """A derived number, whole where it counts something.

    Args:
        encoded: its tensors among others, `(N,)` each.
        field: name of the number.
        scale: `"count"`, `"share"` or `"signed"`.
        zero_if_none: whether 0 is meant where there is none, as of counts. Defaults to `False`: it is missing.
    """
    is_none = is_nothing(encoded, field, scale)
    number = np.where(is_none, 0.0, encoded[number_key(field)].astype(np.float64))
    if scale != "share":
        number = np.sign(number) * np.expm1(np.abs(number) * LOG_SCALE)
    values = np.rint(number) if scale == "count" else rounded(number)
    return Decoded(pa.array(values, pa.float64(), mask=np.zeros_like(is_none) if zero_if_none else is_none))


def is_nothing(encoded: Mapping[str, np.ndarray], field: str, scale: str) -> npt.NDArray[np.bool_]:
    """Where a derived number has no value, bool `(N,)`; the arguments are those of `decode_fixed`."""
    ids = encoded.get(id_key(field))
    return np.asarray(encoded[number_key(field)] == NONE[scale] if ids is None else ids == MISSING_ID)


def rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """At six digits, those that float32 keeps: what was written as 0.1 is 0.1 again."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(values == 0.0, 0.0, np.floor(np.log10(np.abs(values))))
    places = np.power(10.0, _DIGITS - 1 - np.clip(size, -30, 30))
    return np.asarray(np.rint(values * places) / places)
