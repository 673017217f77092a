"""Encode derived numbers as buckets and as numbers, with fixed scales."""

import numpy as np
import tensorflow as tf

from tfmtl.schema.features.fixed_scales import (
    HALF_OCTAVES,
    LOG_SCALE,
    MAGNITUDES,
    MOST_ODDS,
    NONE,
    ODDS,
    ODDS_SCALE,
    SHARES,
    id_key,
    number_key,
)
from tfmtl.schema.reserved import RESERVED_IDS

GRID = 2.0**20
"""Steps of 1 to which differences of log odds are rounded."""

LEAST = 1e-6
"""Of a rate, and of its difference from 1, before its log odds."""


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


def count_once(field: str, values: tf.Tensor, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    """The number of `count_twice` alone, `NONE` where there is none."""
    # A division by a power of two is exact, so that it may come last.
    logarithm = tf.cast(tf.math.log1p(tf.cast(tf.maximum(values, 0), tf.float64)), tf.float32)
    return _one(field, "count", logarithm / LOG_SCALE, is_none)


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


def share_once(field: str, part: tf.Tensor, whole: tf.Tensor) -> dict[str, tf.Tensor]:
    """The share of `share_twice` alone, `NONE` where there is none."""
    some = tf.maximum(whole, 1)
    share = tf.cast(tf.minimum(part, some), tf.float64) / tf.cast(some, tf.float64)
    return _one(field, "share", share, whole == 0)


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


def odds_twice(field: str, rates: tf.Tensor, means: np.ndarray, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    """Shares against their mean: quarters of the difference in log odds, and half of that difference.

    Args:
        field: str. The number's name.
        rates: float64 `(k, N)`, from 0 to 1.
        means: float64 `(k, 1)`. Of the training labels.
        is_none: bool `(k, N)`, where there is no value: id and number are 0.
    """
    # Rates are compared, not their logarithms: a quotient is the same bits wherever it is computed.
    boundaries = 1.0 / (1.0 + np.exp(-(odds_of_means(means) + np.array(ODDS))))  # (k, boundaries)
    places = tf.raw_ops.UpperBound(
        sorted_inputs=tf.constant(boundaries), values=tf.clip_by_value(rates, LEAST, 1.0 - LEAST)
    )
    return _both(field, places, _odds(rates, means) / ODDS_SCALE, is_none)


def odds_once(field: str, rates: tf.Tensor, means: np.ndarray, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    """The number of `odds_twice` alone, cut to `MOST_ODDS`; `NONE` where there is none."""
    odds = tf.clip_by_value(_odds(rates, means), -MOST_ODDS, MOST_ODDS)
    return _one(field, "odds", odds / ODDS_SCALE, is_none)


def odds_of_means(means: np.ndarray) -> np.ndarray:
    """Log odds of means, of any shape."""
    middle = np.clip(means, LEAST, 1.0 - LEAST)
    return np.asarray(np.log(middle / (1.0 - middle)))


def _odds(rates: tf.Tensor, means: np.ndarray) -> tf.Tensor:
    """The log odds of rates less those of their means."""
    rates = tf.clip_by_value(rates, LEAST, 1.0 - LEAST)
    odds = tf.math.log(rates) - tf.math.log1p(-rates) - odds_of_means(means)
    # A graph may sum in another order than single operations do: what differs by that is below the grid. -0 becomes 0.
    return tf.round(odds * GRID) / GRID + 0.0


def _places(boundaries: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """How many boundaries are not above each value, whatever the shape of the values."""
    # What `searchsorted` does, without a dozen operations on shapes.
    flat = tf.raw_ops.UpperBound(sorted_inputs=boundaries[tf.newaxis], values=tf.reshape(values, (1, -1)))
    return tf.reshape(flat, tf.shape(values))


def _one(field: str, scale: str, number: tf.Tensor, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    none = tf.constant(NONE[scale], number.dtype)
    return {number_key(field): tf.cast(tf.where(is_none, none, number), tf.float32)}


def _both(field: str, places: tf.Tensor, number: tf.Tensor, is_none: tf.Tensor) -> dict[str, tf.Tensor]:
    ids = tf.cast(places, tf.int32) + RESERVED_IDS
    return {
        id_key(field): tf.where(is_none, 0, ids),
        number_key(field): tf.cast(tf.where(is_none, tf.zeros_like(number), number), tf.float32),
    }
