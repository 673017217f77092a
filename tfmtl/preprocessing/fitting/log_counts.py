"""Warnings from a log's counts: conditions that never hold, times in another unit."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing import columns
from tfmtl.preprocessing.fitting.time_units import FIRST_YEAR, LAST_YEAR, TICKS, are_plausible
from tfmtl.preprocessing.reading.raw_batch import QUOTED, SPANNING
from tfmtl.schema import SPLITS, Problem, SequenceFeature
from tfmtl.schema.keys import SECONDS_PER_DAY


def count_log(problem: Problem, batch: pa.RecordBatch) -> dict[str, int]:
    """Events per sequence (`event/<name>`) and times per unit in which they make sense (`time/<unit>`)."""
    counts = {}
    for sequence in problem.sequences:
        if sequence.source == "row":
            lists = batch.column(sequence.column_key(sequence.columns[0]))
            counts[f"event/{sequence.name}"] = int(pc.sum(pc.list_value_length(lists)).as_py() or 0)
            continue
        first = batch.column(sequence.columns[0])
        is_event = pc.and_(batch.column(columns.event(sequence.name)), pc.is_valid(first))
        counts[f"event/{sequence.name}"] = int(pc.sum(is_event).as_py() or 0)
    if problem.keys.time is not None:
        times = batch.column(columns.TIME).to_numpy()
        counts["time/any"] = len(times)
        for unit in TICKS:
            counts[f"time/{unit}"] = int(np.count_nonzero(are_plausible(times, unit)))
        counts["time/d"] = int(np.count_nonzero(are_plausible(times.astype(np.float64) * SECONDS_PER_DAY, "s")))
    return counts


def names_with_rates(problem: Problem) -> list[str]:
    """The features of one name per row, whose rates of missing and unknown values are counted."""
    tensors = {each.key: each for each in problem.field_tensors if each.role == "id" and not each.is_ordered}
    return [feature.name for feature in problem.features if feature.inputs() and feature.name in tensors]


def count_file(number: int, counts: Mapping[str, int], num_rejected: int) -> dict[str, int]:
    """Counts of one file's rows, by its number: `lines/<number>` and the like, and `rejected/<number>`."""
    return {f"{what}/{number}": count for what, count in {**counts, "rejected": num_rejected}.items() if count}


def file_warnings(files: Sequence[str], log: Mapping[str, int]) -> list[str]:
    """A sentence or two for every file whose quotation marks may mean something else.

    Args:
        files: their paths, by number.
        log: what `count_file` counted.
    """
    found = []
    for number, path in enumerate(files):
        if log.get(f"{QUOTED}/{number}"):
            found.append(
                f"file '{path}': {log[f'{QUOTED}/{number}']:,} values begin and end with a quotation mark, which was "
                "read as part of them. If it is none, set `dialect: {quote: double}`."
            )
        if log.get(f"{SPANNING}/{number}"):
            found.append(
                f"file '{path}': {log[f'{SPANNING}/{number}']:,} quoted values go over several lines. If marks are "
                "nothing but text, set `dialect: {quote: none}`."
            )
    return found


def count_days(times: np.ndarray, splits: np.ndarray, ticks_per_second: int) -> dict[str, int]:
    """Examples per split and UTC day (`<split>/day/<days since 1970>`); implausible times are left out.

    Without the bound, times in a wrong unit would make a counter each.
    """
    seconds = times // ticks_per_second
    known = are_plausible(seconds, "s")
    counts: dict[str, int] = {}
    for index, split in enumerate(SPLITS):
        days, found = np.unique(seconds[known & (splits == index)] // SECONDS_PER_DAY, return_counts=True)
        counts |= {f"{split}/day/{day}": count for day, count in zip(days.tolist(), found.tolist(), strict=True)}
    return counts


def examples_per_day(counts: Mapping[str, float], split: str) -> dict[str, int]:
    """ISO day -> examples, in order of time, from what `count_days` counted."""
    prefix = f"{split}/day/"
    days = sorted((int(name.removeprefix(prefix)), int(n)) for name, n in counts.items() if name.startswith(prefix))
    return {str(np.datetime64(day, "D")): count for day, count in days}


def log_warnings(problem: Problem, counts: Mapping[str, int]) -> list[str]:
    """Warnings from the counts of a whole log: conditions that never hold, times in another unit."""
    found = [
        f"sequence '{sequence.name}' has no event: {_no_event(sequence)}."
        for sequence in problem.sequences
        if not counts[f"event/{sequence.name}"]
    ]
    total, unit = counts.get("time/any", 0), problem.keys.time_unit.replace("d", "s")  # days are held in seconds
    if total and counts[f"time/{unit}"] < total / 2:
        found.append(
            f"most times in column '{problem.keys.time}' lie outside {FIRST_YEAR} to {LAST_YEAR} when read as "
            f"{problem.keys.time_unit}, the time_unit. {_better_unit(total, counts)}"
        )
    return found


def _no_event(sequence: SequenceFeature) -> str:
    if sequence.source == "row":
        before = ", or holds nothing before its row's time" if sequence.times is not None else ""
        return f"column '{sequence.lists[0]}' is empty in every row{before}"
    missing = f"column '{sequence.columns[0]}' is missing in every row"
    return missing if sequence.when is None else f'no row satisfies "{sequence.when}", or {missing} that does'


def _better_unit(total: int, counts: Mapping[str, int]) -> str:
    fitting = next((unit for unit in (*TICKS, "d") if counts[f"time/{unit}"] >= total / 2), None)
    if fitting is None:
        return "Time gaps and the split are right only if one step of this column is one such unit."
    return f"As {fitting} they lie inside: set `time_unit: {fitting}`."
