"""Warnings about suspicious values."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.reading.noticed import noticed_columns
from tfmtl.preprocessing.reading.row_events import BAD_VECTOR, LATE, NEWEST_FIRST
from tfmtl.schema import SPLITS, Problem
from tfmtl.schema.reserved import LIKELY_MISSING, MAYBE_MISSING
from tfmtl.schema.spelling import spelled
from tfmtl.values.spelling_forms import BITS, YES_NO, is_cased

_MOST_SHOWN = 3
_LISTS = "lists that were written as text, such as ['a', 'b']: each whole text is one value."
_LIST_SHARE = 0.5  # of a column's texts, from which it is taken for a column of lists
_FEWEST_ROWS = 20
_MOST_UNKNOWN = 0.5  # of a column's values out of a vocabulary that was taken over
_MOST_BOOLS = 8  # with more values it is no column of bools


def value_warnings(
    problem: Problem,
    manifest: Mapping[str, Any],
    statistics: TransformStatistics,
    read_counts: Sequence[Mapping[str, int]],
) -> list[str]:
    """Warnings about suspicious values of the log.

    Args:
        problem: `Problem`.
        manifest: what was written and counted.
        statistics: what was fitted.
        read_counts: counters of the batches that were read.
    """
    found = [
        f"column '{column}' holds {count} floating-point numbers that are too large to be told from their neighbors: "
        "different ids may have become equal. Store ids as integers or text."
        for column, count in noticed_columns(read_counts, "inexact").items()
    ]
    found += [
        f"column '{column}' has a text that usually means missing and is rejected as not a number, {count} times: "
        "list it under `missing`, as in missing: ['NULL']."
        for column, count in noticed_columns(read_counts, "missing_text").items()
    ]
    zoned, zoneless = (noticed_columns(read_counts, what) for what in ("zoned", "zoneless"))
    found += [
        f"column '{column}' holds {zoned[column]} times with a zone and {zoneless[column]} without, which are taken "
        "for UTC: check that they are."
        for column in zoned
        if column in zoneless
    ]
    found += [
        f"sequence '{name}': {count:,} events are not before their row's time, or have none, and were left out."
        for name, count in noticed_columns(read_counts, LATE).items()
    ]
    found += [
        f"sequence '{name}': {count:,} events have a vector of another length, or with something else than finite "
        "numbers, and were left out."
        for name, count in noticed_columns(read_counts, BAD_VECTOR).items()
    ]
    found += [
        f"sequence '{name}': the lists of {count:,} rows do not rise in time. The oldest event must come first: the "
        "last ones are kept."
        for name, count in noticed_columns(read_counts, NEWEST_FIRST).items()
    ]
    found += _joined_lists(read_counts)
    for table, vocabulary in statistics.vocabularies.items():
        found += _two_spellings(table, vocabulary)
        found += _no_values(table, vocabulary, statistics.vocabulary_counts[table])
        is_list = getattr(problem.tables[table][0], "multi_valued", False)
        if vocabulary and not is_list and np.mean([text[:1] + text[-1:] == "[]" for text in vocabulary]) >= _LIST_SHARE:
            found.append(f"the vocabulary of '{table}' holds {_LISTS} Set `multi_valued: true` and `format: json`.")
    if "transform_from" in manifest:
        found += _mostly_unknown(problem, manifest)
    return found


def _joined_lists(read_counts: Sequence[Mapping[str, int]]) -> Iterable[str]:
    """A warning for every multi-valued text column that seems to use another separator."""
    lists, joined = noticed_columns(read_counts, "list_text"), noticed_columns(read_counts, "joined")
    for column, present in noticed_columns(read_counts, "present").items():
        if lists.get(column, 0) >= _LIST_SHARE * present:
            yield f"multi-valued column '{column}' holds {_LISTS} Set `format: json`."
        elif not joined.get(column) and present >= _FEWEST_ROWS:
            yield (
                f"no value of the multi-valued column '{column}' holds its separator: check `separator`, or remove "
                "`multi_valued` if a row has one value."
            )


def _no_values(table: str, vocabulary: Sequence[str], counts: Sequence[int]) -> Iterable[str]:
    """A warning if a vocabulary has texts that usually mean missing."""
    found = {text: count for text, count in zip(vocabulary, counts, strict=False) if text in LIKELY_MISSING}
    found |= {text: counts[0] for text in vocabulary[:1] if text in MAYBE_MISSING}
    if found:
        shown = ", ".join(f"'{text}' ({count} times)" for text, count in found.items())
        listed = ", ".join(f"'{text}'" for text in found)
        yield (
            f"the vocabulary of '{table}' holds {shown}: if that means missing, say so with `missing: [{listed}]`, or "
            "it is a value like any other and an event in histories."
        )


def _two_spellings(table: str, vocabulary: Sequence[str]) -> Iterable[str]:
    """A warning where a vocabulary holds one number or one bool in two spellings."""
    if not vocabulary:
        return
    known = set(vocabulary)
    doubled = [(text, plain) for text in _odd_numbers(vocabulary) if (plain := _plain_number(text)) in known]
    if doubled:
        shown = ", ".join(f"'{plain}' and '{text}'" for text, plain in doubled[:_MOST_SHOWN])
        yield (
            f"the vocabulary of '{table}' holds {len(doubled)} numbers in two spellings, such as {shown}: they are "
            "different values. Write them alike in the log: text is compared as it stands."
        )
    words = {text.lower() for text in vocabulary if len(text) <= len("false")}
    is_mixed = known & BITS and words & YES_NO
    if (is_mixed and len(vocabulary) <= _MOST_BOOLS) or is_cased(known):
        yield (
            f"the vocabulary of '{table}' holds yes and no in several spellings: {sorted(known)[:8]}. A stored bool is "
            "read as 1 or 0: write them alike in the log."
        )


def _odd_numbers(vocabulary: Sequence[str]) -> list[str]:
    """Whole numbers that are not spelled as such: with a point, an exponent, a sign or zeros in front."""
    texts = pa.array(vocabulary, pa.string())
    pattern = r"^\+?\d{1,300}(\.\d*)?([eE][+-]?\d{1,2})?$|^-\d{1,300}(\.\d*([eE][+-]?\d{1,2})?|[eE][+-]?\d{1,2})$"
    odd = texts.filter(pc.match_substring_regex(texts, pattern)).to_pylist()
    return [text for text in odd if text != _plain_number(text)]


def _plain_number(text: str) -> str:
    """As `spelled` writes a stored number, but exact: neighbors beyond 2**53 stay apart."""
    number = Decimal(text)
    return str(int(number)) if number == int(number) else spelled(float(text))


def _mostly_unknown(problem: Problem, manifest: Mapping[str, Any]) -> Iterable[str]:
    """A warning for every column most of whose values are not in the reused vocabulary."""
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
