"""Names, types and shapes of raw requests and of preprocessed records."""

from typing import Any

import tensorflow as tf

from tfmtl.schema import CategoricalFeature, NumericFeature, Problem

LABEL_PREFIX = "label:"  # A colon occurs in no feature name, so keys never collide.
GROUP_KEY = "key:group"


def raw_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The tensors of a request: what `RawTransform` takes and a SavedModel's clients send.

    Categorical features are strings, `""` where missing: `(B,)`, or `(B, n)`
    for multi-valued ones. Numeric features are float32 `(B,)`, NaN where
    missing. A sequence has one `(B, n)` tensor a column, oldest event first,
    named `<sequence>__<column>`, and with time gaps an int64 one named
    `<sequence>__time`; then the time column itself, int64 `(B,)`, says when the
    request is made. Shorter rows are filled up with missing values.
    """
    signature: dict[str, tf.TensorSpec] = {}
    for feature in problem.features:
        is_list = isinstance(feature, CategoricalFeature) and feature.multi_valued
        signature[feature.name] = _raw_spec(feature, feature.name, is_list)
    for sequence in problem.sequences:
        for column in sequence.columns:
            key = sequence.column_key(column)
            signature[key] = _raw_spec(problem.feature(column), key, True)
        if sequence.time_gap_buckets:
            signature[sequence.time_key] = tf.TensorSpec((None, None), tf.int64, sequence.time_key)
    if problem.uses_time_gaps:
        signature[str(problem.keys.time)] = tf.TensorSpec((None,), tf.int64, problem.keys.time)
    return signature


def _raw_spec(feature: CategoricalFeature | NumericFeature, name: str, is_list: bool) -> tf.TensorSpec:
    dtype = tf.string if isinstance(feature, CategoricalFeature) else tf.float32
    return tf.TensorSpec((None, None) if is_list else (None,), dtype, name)


def candidate_features(problem: Problem) -> tuple[str, ...]:
    """The features of which every candidate of a ranking has its own: those of side `item`."""
    return tuple(feature.name for feature in problem.features if feature.side == "item")


def user_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The tensors of `raw_signature` that say who asks, when, and what happened before: all but the candidates'."""
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

    An absent feature is missing; only the time column must be there.
    """
    missing = {tf.string: "", tf.float32: float("nan"), tf.int64: 0}
    signature = raw_signature(problem)
    spec: dict[str, Any] = {}
    for name, tensor in signature.items():
        if tensor.shape.rank == 2:
            spec[name] = tf.io.RaggedFeature(tensor.dtype)
        else:
            default = None if name == problem.keys.time else missing[tensor.dtype]
            spec[name] = tf.io.FixedLenFeature((), tensor.dtype, default)
    parsed = tf.io.parse_example(serialized, spec)
    return {
        name: value.to_tensor(missing[signature[name].dtype]) if isinstance(value, tf.RaggedTensor) else value
        for name, value in parsed.items()
    }


def encoded_signature(problem: Problem) -> dict[str, tf.TensorSpec]:
    """The features a model reads: int32 ids, float32 scaled numbers; sequences `(B, max_length)`."""
    signature: dict[str, tf.TensorSpec] = {}
    for feature in problem.features:
        if isinstance(feature, CategoricalFeature) and feature.multi_valued:
            signature[feature.name] = tf.TensorSpec((None, feature.max_values), tf.int32, feature.name)
        elif isinstance(feature, NumericFeature) and not feature.is_bucketized:
            signature[feature.name] = tf.TensorSpec((None,), tf.float32, feature.name)
        else:
            signature[feature.name] = tf.TensorSpec((None,), tf.int32, feature.name)
    for sequence in problem.sequences:
        keys = [sequence.column_key(column) for column in sequence.columns]
        if sequence.time_gap_buckets:
            keys.append(sequence.gap_key)
        for key in keys:
            signature[key] = tf.TensorSpec((None, sequence.max_length), tf.int32, key)
    return signature


def parse_encoded_examples(
    problem: Problem, serialized: tf.Tensor
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
    """A batch of preprocessed records as `(features, labels, groups)`.

    Labels are float32 `(B,)`, NaN where missing: one a task, and its further parts and weights as
    `TaskRecord.label_keys` calls them. Groups are strings `(B,)`,
    empty where the problem names no group.
    """
    signature = encoded_signature(problem)
    spec: dict[str, Any] = {GROUP_KEY: tf.io.FixedLenFeature((), tf.string, "")}
    for name, tensor in signature.items():
        if tensor.shape.rank == 2:
            spec[name] = tf.io.RaggedFeature(tf.int64)
        else:
            spec[name] = tf.io.FixedLenFeature((), tf.int64 if tensor.dtype == tf.int32 else tf.float32)
    for key in problem.label_keys:
        spec[LABEL_PREFIX + key] = tf.io.FixedLenFeature((), tf.float32, float("nan"))
    parsed = tf.io.parse_example(serialized, spec)
    features = {}
    for name, tensor in signature.items():
        value = parsed[name]
        if isinstance(value, tf.RaggedTensor):
            value = value.to_tensor(shape=tensor.shape)
        features[name] = tf.cast(value, tensor.dtype)
    labels = {key: parsed[LABEL_PREFIX + key] for key in problem.label_keys}
    return features, labels, parsed[GROUP_KEY]
