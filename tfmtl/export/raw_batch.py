"""Convert raw requests to tensors and to serialized examples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.data.example_spec import lengths_key
from tfmtl.schema.reserved import MISSING
from tfmtl.values.feature_arrays import PlainSpec, Where, as_bytes, check_events, make_array


def to_tensors(
    requests: Sequence[Mapping[str, Any]],
    signature: Mapping[str, tf.TensorSpec],
    where: Where = "request {}".format,
) -> dict[str, tf.Tensor]:
    """One batch of the requests; shorter lists, and `[]` for a vector, are filled up with missing values.

    Args:
        requests: feature -> value or list of values.
        signature: feature -> its tensor spec.
        where: what to call a request in messages, by its number. Defaults to `"request 0"`, `"request 1"`, ...

    Raises:
        RequestError: a value is not what the signature takes, or the columns of a sequence are of unequal lengths.
    """
    columns = {name: [request[name] for request in requests] for name in signature}
    specs = {name: PlainSpec(spec.dtype.name, tuple(spec.shape)) for name, spec in signature.items()}
    arrays = {name: make_array(name, values, specs[name], where) for name, values in columns.items()}
    check_events(columns, specs, where)
    return {name: tf.constant(array, signature[name].dtype) for name, array in arrays.items()}


def to_rank_tensors(
    user: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]], signature: Mapping[str, tf.TensorSpec]
) -> dict[str, tf.Tensor]:
    """One ranking request: the user's features in one row, the candidates' in a row each.

    Args:
        user: feature -> value or list of values.
        candidates: likewise, for each candidate.
        signature: feature -> its tensor spec, with one row for what is the user's.
    """
    parts: dict[bool, dict[str, tf.TensorSpec]] = {True: {}, False: {}}
    for name, spec in signature.items():
        parts[spec.shape[0] == 1][name] = spec
    return to_tensors([user], parts[True]) | to_tensors(candidates, parts[False])


def to_examples(requests: Sequence[Mapping[str, Any]], signature: Mapping[str, tf.TensorSpec]) -> list[bytes]:
    """The requests as serialized `tf.train.Example`s; missing features are left out, as clients may do."""
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    key: feature
                    for name, spec in signature.items()
                    if not _is_missing(request[name])
                    for key, feature in _features(name, spec, request[name]).items()
                }
            )
        ).SerializeToString()
        for request in requests
    ]


def _features(name: str, spec: tf.TensorSpec, value: Any) -> dict[str, tf.train.Feature]:
    """A feature, and of lists of free length beside it how long each is."""
    if spec.shape.rank < 3:
        return {name: _feature(spec.dtype, value)}
    flat = [item for row in value for item in (row or [MISSING[spec.dtype.name]] * (spec.shape[2] or 0))]
    found = {name: _feature(spec.dtype, flat)}
    if spec.shape[2] is None:
        found[lengths_key(name)] = _feature(tf.int64, [len(row) for row in value])
    return found


def _is_missing(value: Any) -> bool:
    return value in (MISSING["string"], []) or value != value  # NaN alone differs from itself


def _feature(dtype: tf.DType, value: Any) -> tf.train.Feature:
    values = value if isinstance(value, list) else [value]
    if dtype == tf.string:
        encoded = [as_bytes(item) for item in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
    if dtype == tf.int64:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=np.asarray(values, np.float32)))
