"""Derived numbers before they are encoded, and their encoding, all numbers of one scale at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.features.array_scales import ArrayScales
from tfmtl.features.fixed_scales import (
    count_once,
    count_twice,
    odds_once,
    odds_twice,
    share_once,
    share_twice,
    signed_twice,
)
from tfmtl.schema.features.fixed_scales import number_key


@dataclass(frozen=True)
class Measure:
    """One derived number of many requests: exact, so that it does not matter what computed it.

    Tensors in a serving graph, NumPy arrays in a worker.

    Args:
        scale: `"count"`, `"share"`, `"odds"` or `"signed"`, as `tfmtl.schema.features.fixed_scales.twice` names them.
        values: `(N,)`: int64 of counts and of the parts of shares; float64 of odds, the share, and of signed numbers,
            NaN where there is none.
        other: of counts and odds bool `(N,)`, where there is none; of shares int64 `(N,)` or `(1,)`, the whole.
            Defaults to `None`: signed numbers need no more.
        enters: `"twice"` or `"once"`, as the feature says; signed numbers enter twice. Defaults to `"twice"`.
        mean: float. Of odds, the share that they are compared with. Defaults to `0.0`.
    """

    scale: str
    values: Any
    other: Any = None
    enters: str = "twice"
    mean: float = 0.0


_ENCODE: dict[tuple[str, str], Callable[..., dict[str, tf.Tensor]]] = {
    ("count", "once"): lambda values, none, _: count_once("", values, none),
    ("count", "twice"): lambda values, none, _: count_twice("", values, none),
    ("share", "once"): lambda values, whole, _: share_once("", values, whole),
    ("share", "twice"): lambda values, whole, _: share_twice("", values, whole),
    ("odds", "once"): lambda values, none, means: odds_once("", values, means, none),
    ("odds", "twice"): lambda values, none, means: odds_twice("", values, means, none),
    ("signed", "twice"): lambda values, *_: signed_twice("", values),
}


def encode_measures(measures: Mapping[str, Measure]) -> dict[str, tf.Tensor]:
    """Encoded key -> `(N,)`, of field -> its measure.

    Numbers of one scale and of equally many rows are encoded together: some twenty operations instead of some ten a
    number, which in a request cost more than what they compute.
    """
    scales = ArrayScales()
    found: dict[str, Any] = {}
    groups: dict[tuple[Any, ...], list[str]] = {}
    for field, each in measures.items():
        is_array = isinstance(each.values, np.ndarray)
        if is_array and each.enters == "once":
            given = (each.mean,) if each.scale == "odds" else ()
            found[number_key(field)] = getattr(scales, each.scale)(each.values, each.other, *given)
            continue
        rows = each.values.shape[0]
        of_other = each.other.shape[0] if each.scale == "share" else rows
        # See `ArrayScales.odds`: beside others a number would have another place.
        alone = field if is_array and each.scale == "odds" else None
        groups.setdefault((each.scale, each.enters, rows, of_other, alone), []).append(field)
    for (scale, enters, *_), fields in groups.items():
        values = _stacked([measures[field].values for field in fields])  # (k, N)
        other = None if scale == "signed" else _stacked([measures[field].other for field in fields])
        means = np.array([measures[field].mean for field in fields])[:, np.newaxis]
        for kind, stacked in _ENCODE[scale, enters](values, other, means).items():
            rows = tf.unstack(stacked, num=len(fields))
            found |= {f"{field}{kind}": row for field, row in zip(fields, rows, strict=True)}
    return found


def _stacked(values: list[Any]) -> tf.Tensor:
    # `tf.stack` takes arrays of int64 for int32.
    return tf.stack([tf.convert_to_tensor(each) for each in values])
