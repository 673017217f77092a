"""Encode derived numbers as buckets and as numbers, with fixed scales."""

import numpy as np
import tensorflow as tf

from tfmtl.schema.features.fixed_scales import HALF_OCTAVES, LOG_SCALE, MAGNITUDES, ODDS, SHARES, id_key, number_key
from tfmtl.schema.reserved import RESERVED_IDS

ODDS_SCALE = 2.0
"""A rate's number is the difference of log odds divided by this."""

_GRID = 2.0**20  # of log odds
_LEAST = 1e-6  # of a rate, before its log odds


def count_twice(field: str, values: tf.Tensor, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    """Whole numbers: half octaves, and `log1p(x) / 8`.

    Args:
        field: str. The number's name.
        values: int64 `(..., N)`; those below 0 count as 0.
        is_none: bool `(..., N)`, where there is no value: id and number are 0.
    """
    values = tf.maximum(values, 0)
    # Not Bucketize: its boundaries are float32, and large times are not.
    places = _places(tf.constant(HALF_OCTAVES, tf.int64), values)
    number = tf.math.log1p(tf.cast(values, tf.float64)) / LOG_SCALE
    return _both(field, places, number, is_none)


def share_twice(field: str, part: tf.Tensor, whole: tf.Tensor) -> dict[str, tf.Tensor]:
    """A share of counts: twentieths, and the share; none of nothing.

    Args:
        field: str. The number's name.
        part: int64 `(..., N)`.
        whole: int64 `(..., N)` or `(..., 1)`.
    """
    some = tf.maximum(whole, 1)
    part = tf.minimum(part, some)
    return _both(field, part * SHARES // some, tf.cast(part, tf.float64) / tf.cast(some, tf.float64), whole == 0)


def signed_twice(field: str, values: tf.Tensor) -> dict[str, tf.Tensor]:
    """Any numbers: half octaves of the absolute value on both sides of 0, and `sign(x) log1p(|x|) / 8`.

    Args:
        field: str. The number's name.
        values: float64 `(..., N)`, NaN where there is none.
    """
    is_none = tf.math.is_nan(values)
    values = tf.where(is_none, tf.zeros_like(values), values)
    size = tf.abs(values)
    places = _places(tf.constant(MAGNITUDES, tf.float64), size)
    places = tf.where(values < 0.0, len(MAGNITUDES) - places, len(MAGNITUDES) + 1 + places)
    return _both(field, places, tf.sign(values) * tf.math.log1p(size) / LOG_SCALE, is_none)


def odds_twice(field: str, rates: tf.Tensor, mean: float, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    """Shares against their mean: quarters of the difference in log odds, and half of that difference.

    Args:
        field: str. The number's name.
        rates: float64 `(N,)`, from 0 to 1.
        mean: float. Of the training labels.
        is_none: bool `(N,)`, where there is no value: id and number are 0.
    """
    middle = min(max(mean, _LEAST), 1.0 - _LEAST)
    middle_odds = np.log(middle / (1.0 - middle))
    rates = tf.clip_by_value(rates, _LEAST, 1.0 - _LEAST)
    # Rates are compared, not their logarithms: a quotient is the same bits wherever it is computed.
    boundaries = 1.0 / (1.0 + np.exp(-(middle_odds + np.array(ODDS))))
    places = tf.searchsorted(tf.constant(boundaries, tf.float64), rates, side="right")
    odds = tf.math.log(rates) - tf.math.log1p(-rates) - middle_odds
    # A graph may sum in another order than single operations do: what differs by that is below the grid.
    odds = tf.round(odds * _GRID) / _GRID
    return _both(field, places, odds / ODDS_SCALE, is_none)


def _places(boundaries: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """How many boundaries are not above each value, whatever the shape of the values."""
    # What `searchsorted` does, without a dozen operations on shapes.
    flat = tf.raw_ops.UpperBound(sorted_inputs=boundaries[tf.newaxis], values=tf.reshape(values, (1, -1)))
    return tf.reshape(flat, tf.shape(values))


def _both(field: str, places: tf.Tensor, number: tf.Tensor, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    ids = tf.cast(places, tf.int32) + RESERVED_IDS
    return {
        id_key(field): tf.where(is_none, 0, ids),
        number_key(field): tf.cast(tf.where(is_none, tf.zeros_like(number), number), tf.float32),
    }
