"""The manifest: counts that account for every input row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.fitting.log_counts import examples_per_day, file_warnings, log_warnings, names_with_rates
from tfmtl.preprocessing.reading.raw_batch import LINES
from tfmtl.schema import SPLITS, Problem
from tfmtl.schema.shown import shown
from tfmtl.tasks import behavior_of

NEGATIVES = "negatives"  # counter of rows that no log has


def build_manifest(
    problem: Problem,
    statistics: TransformStatistics,
    read_counts: Sequence[Mapping[str, int]],
    rejected_counts: Sequence[Mapping[str, int]],
    shards: Sequence[Mapping[str, Any]],
    seed: int,
    inputs: Sequence[str],
) -> dict[str, Any]:
    """The manifest as plain JSON values.

    Raises:
        RuntimeError: rows were lost: in = written + history only + rejected does not hold.
    """
    rejected: Counter[str] = Counter()
    for counts in rejected_counts:
        rejected.update(counts)
    totals: Counter[str] = Counter()
    files: dict[str, Any] = {}
    checksums: dict[str, str] = {}
    for shard in sorted(shards, key=lambda shard: shard["bucket"]):  # floats are added in one order
        totals.update(shard["counts"])
        files.update(shard["files"])
        checksums.update(shard["checksums"])
    log: Counter[str] = Counter()
    for counts in read_counts:
        log.update(counts)
    rows_in = log["rows"]
    drawn = int(totals[NEGATIVES])
    written = sum(int(totals[f"{split}/examples"]) for split in SPLITS) - drawn
    lost = [
        path
        for number, path in enumerate(inputs)  # lines and rows that the files say they have, whoever read them
        if log[f"{LINES}/{number}"] != totals[f"file/{number}"] + log[f"rejected/{number}"]
    ]
    if rows_in != written + totals["history_only"] + rejected.total() or lost:
        raise RuntimeError(
            f"preprocess: rows were lost. Read: {rows_in}, written: {written}, history only: "
            f"{totals['history_only']}, rejected: {rejected.total()}. Files whose counts differ: {shown(lost)}. "
            "The output is not kept."
        )
    splits = {split: _split_facts(problem, totals, split) for split in SPLITS}
    facts, doubts = _fitted_labels(problem, statistics)
    return {
        "problem": problem.name,
        "fingerprint": problem.fingerprint,
        "seed": seed,
        "inputs": list(inputs),
        "rows_in": rows_in,
        "rows_written": written,
        "rows_history_only": int(totals["history_only"]),
        "rows_rejected": dict(sorted(rejected.items())),
        **({"rows_negative": drawn} if drawn else {}),
        "events": {sequence.name: log[f"event/{sequence.name}"] for sequence in problem.sequences},
        "warnings": [
            *log_warnings(problem, log),
            *file_warnings(inputs, log),
            *statistics.notes,
            *_unlabeled(problem, splits["train"]),
            *_open(problem, splits),
            *doubts,
        ],
        **({"fitted_labels": facts} if facts else {}),
        "tables": dict(statistics.model_inputs(problem).table_rows),
        "splits": splits,
        "files": dict(sorted(files.items())),
        "checksums": checksums,
    }


def _fitted_labels(problem: Problem, statistics: TransformStatistics) -> tuple[dict[str, Any], list[str]]:
    """What kinds of tasks tell of what was fitted to their labels, and their warnings."""
    facts, warnings = {}, []
    for task in problem.tasks:
        state = statistics.task_state.get(task.name)
        if state:
            behavior = behavior_of(task)
            facts[task.name] = behavior.label_facts(state)
            warnings += behavior.label_warnings(state)
    return {name: found for name, found in facts.items() if found}, warnings


def _unlabeled(problem: Problem, facts: Mapping[str, Any]) -> list[str]:
    """A warning for every task without a label in a split."""
    return [
        f"task '{task.name}' has no label in the training split: check column '{task.label_column}'"
        + (f' and its sample_space "{task.sample_space}".' if task.sample_space else ".")
        for task in problem.tasks
        if task not in problem.late_tasks and not facts["tasks"][task.name]["labels"]
    ]


def _open(problem: Problem, splits: Mapping[str, Any]) -> list[str]:
    """A warning for every late task and split with examples but without a label."""
    return [
        f"task '{task.name}' has no label in the {split} split: {facts['tasks'][task.name]['undecided']} of "
        f"{facts['examples']} windows are still open at its end. Shorten the label_window, or give the split more time."
        for task in problem.late_tasks
        for split, facts in splits.items()
        if facts["examples"] and not facts["tasks"][task.name]["labels"]
    ]


def _split_facts(problem: Problem, totals: Mapping[str, float], split: str) -> dict[str, Any]:
    examples = int(totals[f"{split}/examples"])
    tasks = {}
    for task in problem.tasks:
        labels = int(totals[f"{split}/labels/{task.name}"])
        mean = totals[f"{split}/label_sum/{task.name}"] / labels if labels else None
        tasks[task.name] = {"labels": labels, "mean": mean}
        if task in problem.late_tasks:
            tasks[task.name]["undecided"] = int(totals[f"{split}/undecided/{task.name}"])
    rates = {}
    for name in names_with_rates(problem):
        rates[name] = {
            "out_of_vocabulary": _share(totals[f"{split}/out_of_vocabulary/{name}"], examples),
            "missing": _share(totals[f"{split}/missing/{name}"], examples),
        }
    days = {"days": examples_per_day(totals, split)} if problem.keys.time is not None else {}
    return {"examples": examples, **days, "tasks": tasks, "features": rates}


def _share(count: float, total: int) -> float:
    return count / total if total else 0.0
