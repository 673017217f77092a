"""Ids and fields that a training step does without, so that a network does not rely on single ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import check_count, check_rate
from tfmtl.schema.reserved import OUT_OF_VOCABULARY, RESERVED_IDS

_RARE = 20.0  # values of so many training rows are dropped twice as often as frequent ones
_MOST = 0.5  # no value is dropped more often than this, or its row would hardly learn


class FeatureDropout:
    """Replaces ids by "out of vocabulary" and whole fields by "missing", at random, for training alone.

    A value of c training rows is dropped with probability `min(1/2, id_rate (1 + 20 / c))`: rare values, which a
    network learns by heart, more often. It is what trains the row for unknown values, which a vocabulary without
    `min_count` never reads. Each occurrence is drawn by itself, events of sequences included; values of hashed
    features have no counts and are dropped with `id_rate`; buckets of numbers and of time gaps, none of which is
    unknown, are left alone. A dropped field of a row holds what a missing value is encoded to: the ids "missing", the
    number 0, its mean, a vector's "missing" (`EncodedTensor.missing`); sequences stay. Features with a `dropout` of
    their own in the problem, such as texts and series, are dropped so with that probability, all their tensors at once.

    What is dropped follows from the seed, the step's number and the replica, not from a generator's state: a run that
    goes on drops the same, and every pass of one step reads the same features.

    Args:
        inputs: `ModelInputs`.
        id_rate: float in [0, 1). Probability for a frequent value. Defaults to `0.0`.
        field_rate: float in [0, 1). Probability for each field of each row. Defaults to `0.0`.
        seed: int, at least 0. Defaults to `0`.
        counts: table -> in how many training rows its values occur, from id 2 on, as
            `TransformStatistics.vocabulary_counts`. Defaults to `None`: all values are taken for frequent.

    Raises:
        ValueError, TypeError: If a rate or the seed is out of its range.

    Reference:
        Volkovs et al. 2017 (DropoutNet), https://papers.nips.cc/paper/7081, section 4.1, drops whole preference vectors
        of users and items; the rate by count is ours.
    """

    def __init__(
        self,
        inputs: ModelInputs,
        id_rate: float = 0.0,
        field_rate: float = 0.0,
        seed: int = 0,
        counts: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        advice = "Use a share such as 0.1."
        check_rate("FeatureDropout", "id_rate", id_rate, advice)
        check_rate("FeatureDropout", "field_rate", field_rate, advice)
        check_count("FeatureDropout", "seed", seed)
        self.id_rate = id_rate
        self.field_rate = field_rate
        self.seed = seed
        problem = inputs.problem
        self._modalities = [  # (rate, key -> what a missing value is there)
            (each.dropout, {tensor.key: tensor.missing for tensor in each.tensors(problem)})
            for each in problem.features
            if each.dropout
        ]
        tensors = list(problem.field_tensors)
        self._fields: dict[str, dict[str, float]] = {}  # field -> key -> what a missing value is there
        for each in tensors:
            self._fields.setdefault(each.field, {})[each.key] = each.missing
        for sequence in problem.sequences:
            tensors += sequence.tensors(problem)
        known = counts or {}
        # Ids that may be unknown at serving: those of tables that the data decide, and no buckets.
        self._rates = {
            each.key: drop_rates(id_rate, inputs.table_rows[each.table], known.get(each.table, ()))
            for each in tensors
            if each.table is not None and each.rows is None and not each.is_ordered
        }

    @property
    def drops(self) -> bool:
        """Whether anything is ever dropped."""
        return bool(self.id_rate or self.field_rate or self._modalities)

    def __call__(self, features: Mapping[str, Tensor], step: Tensor) -> dict[str, Tensor]:
        """The features of a training step; what is not dropped is as it was.

        Args:
            features: dict of tensors, a replica's rows.
            step: scalar int, the number of the step.
        """
        result = dict(features)
        seed = self._step_seed(step)
        if self.id_rate:
            for number, (key, rates) in enumerate(self._rates.items()):
                ids = features[key]
                dropped = _uniform(seed, number, tf.shape(ids)) < tf.gather(tf.constant(rates), ids)
                result[key] = tf.where(dropped, tf.cast(OUT_OF_VOCABULARY, ids.dtype), ids)
        fields = [(self.field_rate, field) for field in self._fields.values()]
        for number, (rate, field) in enumerate([*fields, *self._modalities], len(self._rates)):
            if rate:
                result.update(_without(field, result, _uniform(seed, number, _rows_of(result, field)) < rate))
        return result

    def _step_seed(self, step: Tensor) -> Tensor:
        replica = 0
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        return tf.random.experimental.stateless_fold_in(seed, tf.cast(replica, tf.int32))


def drop_rates(rate: float, rows: int, counts: Sequence[int]) -> np.ndarray:
    """How often each id of a table is dropped, float32 `(rows,)`: never "missing" and "out of vocabulary".

    Args:
        rate: of frequent values.
        rows: of the table.
        counts: of its values, from id 2 on; those of other values are unknown and taken for many.
    """
    rates = np.full(rows, rate, np.float64)
    known = np.maximum(np.asarray(counts[: max(rows - RESERVED_IDS, 0)], np.float64), 1.0)
    rates[RESERVED_IDS : RESERVED_IDS + len(known)] = rate * (1.0 + _RARE / known)
    rates[:RESERVED_IDS] = 0.0
    return np.minimum(rates, _MOST if rate <= _MOST else rate).astype("float32")


def _uniform(seed: Tensor, number: int, shape: Tensor) -> Tensor:
    return tf.random.stateless_uniform(shape, tf.random.experimental.stateless_fold_in(seed, number))


def _rows_of(features: Mapping[str, Tensor], field: Mapping[str, float]) -> Tensor:
    return tf.shape(features[next(iter(field))])[:1]


def _without(field: Mapping[str, float], features: Mapping[str, Tensor], dropped: Tensor) -> dict[str, Tensor]:
    """The tensors of a field, missing in the rows `dropped`, bool `(B,)`."""
    found = {}
    for key, missing in field.items():
        values = features[key]
        mask = tf.reshape(dropped, tf.concat([tf.shape(dropped), tf.ones([values.shape.rank - 1], tf.int32)], axis=0))
        found[key] = tf.where(mask, tf.cast(missing, values.dtype), values)
    return found
