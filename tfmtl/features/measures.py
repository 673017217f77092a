"""Derived numbers before they are encoded, and their encoding, all numbers of one scale at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.features.fixed_scales import count_once, count_twice, share_once, share_twice, signed_twice
from tfmtl.schema.features.fixed_scales import NONE, number_key


@dataclass(frozen=True)
class Measure:
    """One derived number of many requests: exact, so that it does not matter what computed it.

    Tensors in a serving graph, NumPy arrays in a worker.

    Args:
        scale: `"count"`, `"share"` or `"signed"`, as `tfmtl.schema.features.fixed_scales.twice` names them.
        values: `(N,)`: int64 of counts and of the parts of shares, float64 of signed numbers, NaN where there is none.
        other: of counts bool `(N,)`, where there is none; of shares int64 `(N,)` or `(1,)`, the whole. Defaults to
            `None`: signed numbers need no more.
        enters: `"twice"` or `"once"`, as the feature says; signed numbers enter twice. Defaults to `"twice"`.
    """

    scale: str
    values: Any
    other: Any = None
    enters: str = "twice"


_ENCODE: dict[tuple[str, str], Callable[..., dict[str, tf.Tensor]]] = {
    ("count", "once"): count_once,
    ("count", "twice"): count_twice,
    ("share", "once"): share_once,
    ("share", "twice"): share_twice,
    ("signed", "twice"): lambda field, values, _: signed_twice(field, values),
}


def encode_measures(measures: Mapping[str, Measure]) -> dict[str, tf.Tensor]:
    """Encoded key -> `(N,)`, of field -> its measure.

    Numbers of one scale and of equally many rows are encoded together: some twenty operations instead of some ten a
    number, which in a request cost more than what they compute.
    """
    groups: dict[tuple[Any, ...], list[str]] = {}
    for field, each in measures.items():
        rows = each.values.shape[0]
        of_other = each.other.shape[0] if each.scale == "share" else rows
        groups.setdefault((each.scale, each.enters, rows, of_other), []).append(field)
    found: dict[str, tf.Tensor] = {}
    for (scale, enters, *_), fields in groups.items():
        if enters == "once" and all(isinstance(measures[field].values, np.ndarray) for field in fields):
            found |= _of_arrays(scale, {field: measures[field] for field in fields})
            continue
        values = _stacked([measures[field].values for field in fields])  # (k, N)
        other = None if scale == "signed" else _stacked([measures[field].other for field in fields])
        for kind, stacked in _ENCODE[scale, enters]("", values, other).items():
            rows = tf.unstack(stacked, num=len(fields))
            found |= {f"{field}{kind}": row for field, row in zip(fields, rows, strict=True)}
    return found


def _of_arrays(scale: str, measures: Mapping[str, Measure]) -> dict[str, np.ndarray]:
    """Encoded key -> float32 `(N,)` of a worker's arrays: where there is nothing, as often, nothing is computed."""
    found: dict[str, np.ndarray] = {}
    places: dict[int, np.ndarray] = {}  # of what is there, once for all measures that are none in the same rows
    values, others = [], []
    for field, each in measures.items():
        if id(each.other) not in places:
            places[id(each.other)] = np.flatnonzero(each.other if scale == "share" else ~each.other)
        some = places[id(each.other)]
        found[number_key(field)] = np.full(len(each.values), NONE[scale], np.float32)
        values.append(each.values[some])
        others.append(each.other[some])
    flat = (tf.convert_to_tensor(np.concatenate(parts)) for parts in (values, others))
    [numbers] = _ENCODE[scale, "once"]("", *flat).values()
    parts = np.split(numbers.numpy(), np.cumsum([len(part) for part in values])[:-1])
    for number, each, part in zip(found.values(), measures.values(), parts, strict=True):
        number[places[id(each.other)]] = part
    return found


def _stacked(values: list[Any]) -> tf.Tensor:
    # `tf.stack` takes arrays of int64 for int32.
    return tf.stack([tf.convert_to_tensor(each) for each in values])
