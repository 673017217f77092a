"""Counting values: the one pass from which every fitted fact of the transformation follows.

Every column, categorical or numeric, is reduced to counts of its values.
Counts add up exactly in any order, so the result does not depend on how rows
were spread over workers. Numbers are counted at 16 significant bits: integers
up to 65,536 exactly, all others within 0.001 %, in bounded memory.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import behavior_of
from tfmtl.preprocessing import columns
from tfmtl.schema import SPLITS, CategoricalFeature, NumericFeature, Problem

TABLE, FEATURE, LABEL = "table", "feature", "label"
Column = tuple[str, str]  # one of the three above, and the name

_DROPPED_BITS = np.uint32(8)  # of float32's 24


def count_values(problem: Problem, batch: pa.RecordBatch) -> list[tuple[Column, pa.Table]]:
    """`((what, name), table of value and count)` of the training rows of a batch."""
    batch = batch.filter(pc.equal(batch.column(columns.SPLIT), SPLITS.index("train")))
    counted = []
    for feature in problem.features:
        if isinstance(feature, NumericFeature):
            counted.append(((FEATURE, feature.name), _count(_coarse(batch.column(feature.name)))))
        elif isinstance(feature, CategoricalFeature) and feature.hash_buckets is None:
            values = batch.column(feature.name)
            flat = pc.list_flatten(values) if feature.multi_valued else values
            counted.append(((TABLE, feature.table_name), _count(flat)))
    examples = batch.filter(batch.column(columns.IS_EXAMPLE))
    for task in problem.tasks:
        if task in problem.late_tasks:  # their labels are known where a user's rows have met
            continue
        counted.append(((LABEL, task.name), _count(_coarse(examples.column(columns.label(task.name))))))
    return counted


def merge_counts(tables: Iterable[pa.Table]) -> pa.Table:
    """One table with the counts of equal values added up."""
    merged = pa.concat_tables(list(tables))
    return merged.group_by("value").aggregate([("count", "sum")]).rename_columns(["value", "count"])


def _count(values: pa.Array) -> pa.Table:
    counted = pc.value_counts(values.drop_null())
    return pa.table({"value": counted.field("values"), "count": counted.field("counts")})


def _coarse(values: pa.Array) -> pa.Array:
    """float32 rounded to 16 significant bits, infinities left as they are."""
    numbers = values.drop_null().to_numpy(zero_copy_only=False).astype(np.float32) + np.float32(0.0)  # -0 becomes 0
    bits = numbers.view(np.uint32)
    half = np.uint32(1) << (_DROPPED_BITS - np.uint32(1))
    rounded = ((bits + half) >> _DROPPED_BITS << _DROPPED_BITS).view(np.float32)
    return pa.array(np.where(np.isfinite(numbers), rounded, numbers))


def build_statistics(problem: Problem, counts: Mapping[Column, pa.Table]) -> TransformStatistics:
    """Vocabularies, boundaries and moments from merged counts; a column without values is allowed."""
    vocabularies, vocabulary_counts = {}, {}
    for table, features in problem.tables.items():
        feature = features[0]
        if isinstance(feature, CategoricalFeature) and feature.hash_buckets is None:
            known = ranked_values(feature, counts.get((TABLE, table)))[: feature.max_size]
            vocabularies[table] = tuple(value for value, _ in known)
            vocabulary_counts[table] = tuple(count for _, count in known)
    boundaries, means, deviations = {}, {}, {}
    for feature in problem.features:
        if isinstance(feature, NumericFeature):
            values, weights = _numbers(counts.get((FEATURE, feature.name)))
            if feature.is_bucketized:
                boundaries[feature.name] = _quantiles(values, weights, feature.buckets)
            else:
                scaled = np.sign(values) * np.log1p(np.abs(values)) if feature.transform == "log_z_score" else values
                means[feature.name], deviations[feature.name] = moments(scaled, weights)
    states = {feature.name: behavior_of(feature, problem).fit_state() for feature in problem.features}
    labels = {task.name: moments(*_numbers(counts.get((LABEL, task.name)))) for task in problem.tasks}
    return TransformStatistics(
        vocabularies=vocabularies,
        vocabulary_counts=vocabulary_counts,
        boundaries=boundaries,
        means=means,
        deviations=deviations,
        label_means={name: mean for name, (mean, _) in labels.items()},
        label_deviations={name: deviation for name, (_, deviation) in labels.items()},
        states={name: state for name, state in states.items() if state is not None},
    )


def ranked_values(feature: CategoricalFeature, counts: pa.Table | None) -> list[tuple[str, int]]:
    """Values frequent enough for a vocabulary and their counts, most frequent first, equal counts in text order."""
    if counts is None:
        return []
    # A vocabulary is a file with a value a line: values with a line break stay out of vocabulary.
    frequent = pc.greater_equal(counts["count"], feature.min_count)
    known = counts.filter(pc.and_(frequent, pc.invert(pc.match_substring_regex(counts["value"], "[\r\n]"))))
    known = known.sort_by([("count", "descending"), ("value", "ascending")])
    return list(zip(known["value"].to_pylist(), known["count"].to_pylist(), strict=True))


def _numbers(counts: pa.Table | None) -> tuple[np.ndarray, np.ndarray]:
    """Finite values in rising order, and their counts."""
    if counts is None:
        return np.empty(0), np.empty(0, np.int64)
    values, weights = counts["value"].to_numpy().astype(np.float64), counts["count"].to_numpy()
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    finite = np.isfinite(values)
    return values[finite], weights[finite]


def _quantiles(values: np.ndarray, weights: np.ndarray, buckets: int) -> tuple[float, ...]:
    """Inner boundaries of at most `buckets` buckets; a value equal to a boundary belongs above it.

    Buckets are equally frequent, but for values that alone fill one: those get a bucket of their own and the others
    share what is left. Plain quantiles of a column that is 95 % zeros would put nearly all other values together.
    """
    for target in range(buckets, 1, -1):  # a frequent value may cut a bucket in two, so the first try can be too many
        boundaries = _cut(values, weights, target)
        if len(boundaries) < buckets:
            break
    return tuple(boundaries[: buckets - 1].tolist())


def _cut(values: np.ndarray, weights: np.ndarray, target: int) -> np.ndarray:
    frequent = np.zeros(len(values), bool)
    while True:
        rest = target - int(frequent.sum())
        left = weights[~frequent].sum()
        size = left / rest if left else np.inf
        more = ~frequent & (weights >= size)
        if not more.any():
            break
        frequent |= more
    ordinary = np.where(frequent, 0, weights)
    bucket = np.floor((np.cumsum(ordinary) - ordinary) / size)
    starts = (bucket[1:] != bucket[:-1]) | frequent[1:] | frequent[:-1]
    return np.asarray(values[1:][starts])


def moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; (0, 1) without values. Summed exactly, so in any order alike."""
    if len(values) == 0:
        return 0.0, 1.0
    total = int(weights.sum())
    mean = math.fsum(values * weights) / total
    variance = math.fsum((values - mean) ** 2 * weights) / total
    return mean, math.sqrt(variance)
