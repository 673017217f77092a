"""Counting values: the one pass from which every fitted fact of the transformation follows.

Every column, categorical or numeric, is reduced to counts of its values.
Counts add up exactly in any order, so the result does not depend on how rows
were spread over workers. Numbers are counted as finely as memory allows, at 16
significant bits at least: integers up to 65,536 exactly, all others within
0.001 %.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.features import behavior_of
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.label_counts import LabelFacts, count_labels
from tfmtl.preprocessing.fitting.number_counts import count_numbers, merge_number_counts
from tfmtl.preprocessing.fitting.number_facts import NumberFacts
from tfmtl.schema import SPLITS, CategoricalFeature, NumericFeature, Problem

TABLE, FEATURE, LABEL = "table", "feature", "label"
Column = tuple[str, str]  # one of the three above, and the name


def count_values(problem: Problem, batch: pa.RecordBatch) -> list[tuple[Column, pa.Table]]:
    """`((what, name), table of value and count)` of the training rows of a batch."""
    batch = batch.filter(pc.equal(batch.column(columns.SPLIT), SPLITS.index("train")))
    counted = []
    for feature in problem.features:
        if isinstance(feature, NumericFeature):
            counted.append(((FEATURE, feature.name), count_numbers(batch.column(feature.name))))
        elif isinstance(feature, CategoricalFeature) and feature.hash_buckets is None:
            values = batch.column(feature.name)
            flat = pc.list_flatten(values) if feature.multi_valued else values
            counted.append(((TABLE, feature.table_name), _count(flat)))
    examples = batch.filter(batch.column(columns.IS_EXAMPLE))
    for task in problem.tasks:
        if task in problem.late_tasks:  # their labels are known where a user's rows have met
            continue
        counted.append(((LABEL, task.name), count_labels(task, examples)))
    return counted


def merge_counts(tables: Iterable[pa.Table]) -> pa.Table:
    """One table with the counts of equal values added up."""
    tables = list(tables)
    if "bits" in tables[0].column_names:
        return merge_number_counts(tables)
    merged = pa.concat_tables(tables)
    keys = [name for name in merged.column_names if name != "count"]
    return merged.group_by(keys).aggregate([("count", "sum")]).rename_columns([*keys, "count"])


def _count(values: pa.Array) -> pa.Table:
    counted = pc.value_counts(values.drop_null())
    return pa.table({"value": counted.field("values"), "count": counted.field("counts")})


def build_statistics(problem: Problem, counts: Mapping[Column, pa.Table]) -> TransformStatistics:
    """Vocabularies, boundaries and moments from merged counts; a column without values is allowed."""
    vocabularies, vocabulary_counts = {}, {}
    for table, features in problem.tables.items():
        feature = features[0]
        if isinstance(feature, CategoricalFeature) and feature.hash_buckets is None:
            known = ranked_values(feature, counts.get((TABLE, table)))[: feature.max_size]
            vocabularies[table] = tuple(value for value, _ in known)
            vocabulary_counts[table] = tuple(count for _, count in known)
    boundaries, means, deviations, notes = {}, {}, {}, []
    for feature in problem.features:
        if isinstance(feature, NumericFeature):
            facts = NumberFacts(counts.get((FEATURE, feature.name)))
            if feature.is_bucketized:
                boundaries[feature.name] = facts.boundaries(feature.buckets)
            if feature.is_scaled:
                is_log = feature.transform == "log_z_score"
                means[feature.name], deviations[feature.name] = facts.moments(is_log)
            if facts.narrow() is not None:
                notes.append(
                    f"the numbers in column '{feature.column_name}' {facts.narrow()}. Subtract an offset in the log, "
                    "or take it out of the features if it is a time."
                )
    states = {feature.name: behavior_of(feature, problem).fit_state() for feature in problem.features}
    labels = {task.name: LabelFacts(task, counts.get((LABEL, task.name))) for task in problem.tasks}
    return TransformStatistics(
        vocabularies=vocabularies,
        vocabulary_counts=vocabulary_counts,
        boundaries=boundaries,
        means=means,
        deviations=deviations,
        label_means={name: facts.moments[0] for name, facts in labels.items()},
        label_deviations={name: facts.moments[1] for name, facts in labels.items()},
        task_state={name: facts.state for name, facts in labels.items() if facts.state},
        states={name: state for name, state in states.items() if state is not None},
        notes=tuple(notes),
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
