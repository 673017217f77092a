"""Warnings about values that were read as they stand and are hardly meant so."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.reading.noticed import noticed_columns
from tfmtl.schema import SPLITS, Problem
from tfmtl.schema.spelling import spelled

_MOST_SHOWN = 3
_MOST_UNKNOWN = 0.5  # of a column's values out of a vocabulary that was taken over
_YES_NO = {"true", "false", "t", "f", "yes", "no"}
_MOST_BOOLS = 8  # with more values it is no column of bools


def value_warnings(
    problem: Problem,
    manifest: Mapping[str, Any],
    statistics: TransformStatistics,
    read_counts: Sequence[Mapping[str, int]],
) -> list[str]:
    """One sentence or two for everything that the log's values give reason to doubt.

    Args:
        problem: `Problem`.
        manifest: what was written and counted.
        statistics: what was fitted.
        read_counts: counters of the batches that were read.
    """
    log: Counter[str] = Counter()
    for counts in read_counts:
        log.update({name: count for name, count in counts.items() if name.startswith("noticed/")})
    found = [
        f"column '{column}' holds {count} floating-point numbers too large for their type to tell neighbors apart: ids "
        "among them may have become one. Store ids as integers or text."
        for column, count in noticed_columns(log, "inexact").items()
    ]
    for table, vocabulary in statistics.vocabularies.items():
        found += _two_spellings(table, vocabulary)
    if "transform_from" in manifest:
        found += _mostly_unknown(problem, manifest)
    return found


def _two_spellings(table: str, vocabulary: Sequence[str]) -> Iterable[str]:
    """A warning where a vocabulary holds one number or one bool in two spellings."""
    if not vocabulary:
        return
    known = set(vocabulary)
    doubled = [(text, plain) for text in _odd_numbers(vocabulary) if (plain := spelled(float(text))) in known]
    if doubled:
        shown = ", ".join(f"'{plain}' and '{text}'" for text, plain in doubled[:_MOST_SHOWN])
        yield (
            f"the vocabulary of '{table}' holds {len(doubled)} numbers in two spellings, such as {shown}: they are "
            "different values. Write them alike in the log: text is compared as it stands."
        )
    words = {text.lower() for text in vocabulary if len(text) <= len("false")}
    is_mixed = known & {"0", "1"} and words & _YES_NO
    forms = [text for text in vocabulary if text.lower() in ("true", "false")]
    if (is_mixed and len(vocabulary) <= _MOST_BOOLS) or len(forms) > len({text.lower() for text in forms}):
        yield (
            f"the vocabulary of '{table}' holds yes and no in several spellings: {sorted(known)[:8]}. A stored bool is "
            "read as 1 or 0: write them alike in the log."
        )


def _odd_numbers(vocabulary: Sequence[str]) -> list[str]:
    """Whole numbers that are not spelled as such: with a point, an exponent, a sign or zeros in front."""
    texts = pa.array(vocabulary, pa.string())
    pattern = r"^\+?\d{1,300}(\.\d*)?([eE][+-]?\d{1,2})?$|^-\d{1,300}(\.\d*([eE][+-]?\d{1,2})?|[eE][+-]?\d{1,2})$"
    odd = texts.filter(pc.match_substring_regex(texts, pattern)).to_pylist()
    return [text for text in odd if text != spelled(float(text))]


def _mostly_unknown(problem: Problem, manifest: Mapping[str, Any]) -> Iterable[str]:
    """A warning for every column that a vocabulary taken over hardly knows."""
    for feature in problem.features:
        shares = [
            facts["features"][feature.name]["out_of_vocabulary"]
            for split in SPLITS
            if (facts := manifest["splits"][split])["examples"] and feature.name in facts["features"]
        ]
        if shares and max(shares) > _MOST_UNKNOWN:
            yield (
                f"{max(shares):.0%} of the values of feature '{feature.name}' are not in the vocabulary that was taken "
                "over: check that this log spells them as the earlier one did, or add --extend-vocabularies."
            )
