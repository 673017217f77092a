"""Names, types and shapes of raw requests and of preprocessed records."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from tfmtl.schema import EncodedTensor, Problem, RequestInput
from tfmtl.schema.reserved import MISSING

LABEL_PREFIX = "label:"  # A colon occurs in no feature name, so keys never collide.
GROUP_KEY = "key:group"
DERIVED_IDS, DERIVED_NUMBERS = "derived:ids", "derived:numbers"


def raw_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The tensors of a request: what `RawTransform` takes and a SavedModel's clients send.

    They are the inputs that features and sequences name: of categorical features strings, `""` where missing: `(B,)`,
    or `(B, n)` for multi-valued ones; of numeric ones float32 `(B,)`, NaN where missing. A sequence has one `(B, n)`
    tensor a column, oldest event first, named `<sequence>__<column>`, of a multi-valued one `(B, n, m)`, and where its
    times are read an int64 one named `<sequence>__time`; then the time column itself, int64 `(B,)`, says when the
    request is made. Shorter rows are filled up with missing values.
    """
    return {each.key: _raw_spec(each) for each in problem.inputs}


def _raw_spec(each: RequestInput) -> tf.TensorSpec:
    return tf.TensorSpec((None, *each.inner), each.dtype, each.key)


def candidate_features(problem: Problem) -> tuple[str, ...]:
    """The inputs that differ per candidate of a ranking: those of side `item`."""
    return tuple(each.key for each in problem.inputs if each.side == "item")


def candidate_tensors(problem: Problem) -> tuple[str, ...]:
    """The encoded tensors that differ per candidate: those of side `item`."""
    return tuple(each.key for each in problem.tensors if each.side == "item")


def user_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The tensors of `raw_signature` that describe user, time and sequences: all but the candidates'."""
    candidates = candidate_features(problem)
    return {name: spec for name, spec in raw_signature(problem).items() if name not in candidates}


def rank_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The tensors of a ranking request: as `raw_signature`, with N rows of `candidate_features` and one of all else."""
    candidates = candidate_features(problem)
    return {
        name: spec if name in candidates else tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name)
        for name, spec in raw_signature(problem).items()
    }


def parse_raw_examples(problem: Problem, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Serialized `tf.train.Example`s holding raw features, as the tensors of `raw_signature`.

    An absent feature is missing; only the time column must be there. A vector of a wrong length is an error that names
    it. An example holds flat lists alone, so of lists of lists a second feature, `lengths_key`, says how long each is.
    """
    parsed = tf.io.parse_example(serialized, {each.key: _raw_feature(each) for each in problem.inputs})
    return {
        each.key: parsed[each.key].to_tensor(MISSING[each.dtype]) if each.is_list else parsed[each.key]
        for each in problem.inputs
    }


def lengths_key(key: str) -> str:
    """The feature of a serialized example that says how many values each event has: a colon occurs in no name."""
    return f"{key}:lengths"


def _raw_feature(each: RequestInput) -> Any:
    dtype = tf.as_dtype(each.dtype)
    if each.is_list:
        lengths = tf.io.RaggedFeature.RowLengths(lengths_key(each.key))
        rows = [lengths if size is None else tf.io.RaggedFeature.UniformRowLength(size) for size in each.inner[1:]]
        return tf.io.RaggedFeature(dtype, each.key, rows)
    if each.is_required:
        return tf.io.FixedLenFeature(each.inner, dtype)
    return tf.io.FixedLenFeature(each.inner, dtype, each.missing)


def encoded_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The features a model reads: int32 ids, float32 numbers and vectors, uint8 pixels; sequences `(B, L, ...)`."""
    return {each.key: tf.TensorSpec((None, *each.inner), each.dtype, each.key) for each in problem.tensors}


def packed_tensors(problem: Problem) -> dict[str, list[str]]:
    """Feature of a record -> the keys of the derived ids or numbers that it holds side by side, in order.

    There are dozens of them, and a record would otherwise be made of their names for the most part.
    """
    derived = [
        each
        for feature in problem.features
        if not feature.inputs()
        for each in feature.tensors(problem)
        if each.role in ("id", "number")
    ]
    found = {
        DERIVED_IDS: [each.key for each in derived if each.holds_ids],
        DERIVED_NUMBERS: [each.key for each in derived if not each.holds_ids],
    }
    return {name: keys for name, keys in found.items() if keys}


def are_packed(records: Iterable[bytes]) -> bool:
    """Whether records hold derived numbers as `packed_tensors` says. The first that had any did not; see the first."""
    first = next(iter(records), None)
    return first is None or any(name.encode() in first for name in (DERIVED_IDS, DERIVED_NUMBERS))


def parse_encoded_examples(
    problem: Problem, serialized: tf.Tensor, is_packed: bool = True
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
    """A batch of preprocessed records as `(features, labels, groups)`.

    Args:
        problem: `Problem`.
        serialized: `(B,)`, the records.
        is_packed: bool. Whether they hold derived numbers as `packed_tensors` says, or each under its own key; see
            `are_packed`. Defaults to `True`.

    Labels are float32 `(B,)`, NaN where missing: one per task, and its further parts and weights as
    `TaskRecord.label_keys` calls them. Groups are strings `(B,)`,
    empty where the problem names no group.
    """
    tensors = {each.key: each for each in problem.tensors}
    lists = _list_keys(problem)
    packed = packed_tensors(problem) if is_packed else {}
    spec: dict[str, Any] = {GROUP_KEY: tf.io.FixedLenFeature((), tf.string, "")}
    for name, keys in packed.items():
        dtype = tf.int64 if name == DERIVED_IDS else tf.float32
        spec[name] = tf.io.FixedLenFeature((len(keys),), dtype)
    inside = {key for keys in packed.values() for key in keys}
    for key, each in tensors.items():
        if key not in inside:
            spec[key] = _encoded_feature(each, key in lists)
    for key in problem.label_keys:
        spec[LABEL_PREFIX + key] = tf.io.FixedLenFeature((), tf.float32, float("nan"))
    parsed = tf.io.parse_example(serialized, spec)
    for name, keys in packed.items():
        parsed |= zip(keys, tf.unstack(parsed[name], axis=1), strict=True)
    features = {}
    for key, each in tensors.items():
        value = parsed[key]
        if each.is_bytes:
            value = tf.reshape(tf.io.decode_raw(value, tf.uint8), (-1, *each.inner))
        if key in lists:
            value = value.to_tensor(shape=(None, *each.inner))
        features[key] = tf.cast(value, each.dtype)
    labels = {key: parsed[LABEL_PREFIX + key] for key in problem.label_keys}
    return features, labels, parsed[GROUP_KEY]


def _list_keys(problem: Problem) -> set[str]:
    """The tensors of which a record holds as many values as there are: lists, and whatever events carry."""
    lists = {each.key for each in problem.tensors if each.role == "ids"}
    return lists.union(each.key for sequence in problem.sequences for each in sequence.tensors(problem))


def _encoded_feature(each: EncodedTensor, is_list: bool) -> Any:
    if each.is_bytes:
        return tf.io.FixedLenFeature((), tf.string)
    dtype = tf.int64 if each.holds_ids else tf.float32
    if not is_list:
        return tf.io.FixedLenFeature(each.inner, dtype)
    rows = [tf.io.RaggedFeature.UniformRowLength(size) for size in each.inner[1:]]
    return tf.io.RaggedFeature(dtype, partitions=rows)
