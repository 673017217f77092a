"""Everything about one problem: its data, its table, its figure."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from tfmtl.export import verify
from tfmtl.folders import ExportedVersion
from tfmtl.operators import export_operator
from tfmtl.pipelines.physics.field_figure import field_figure
from tfmtl.pipelines.physics.stored_problem import store
from tfmtl.pipelines.physics.studies import STUDIES
from tfmtl.pipelines.physics.study import Row, predicted
from tfmtl.schema.checks import check_one_of

RESULTS_FILE, FIGURE_FILE, MODEL_FILE = "results.json", "fields.png", "model.keras"
_QUICK_STEPS, _QUICK_SCALE = 2, 0.05
_MOST_COLUMNS = 5


def run_study(
    console: Console,
    problem: str,
    output: Path,
    steps: int | None = None,
    seed: int = 0,
    quick: bool = False,
    export: Path | None = None,
) -> list[Row]:
    """Makes the data, trains, and writes `data.npz`, `manifest.json`, `results.json`, `fields.png` and `model.keras`.

    Args:
        console: where the table goes.
        problem: str. "fisher", "darcy" or "plate".
        output: folder for the files; made if it is not there.
        steps: int or None. Steps of a training. Defaults to `None`: less than 15 seconds on two idle cores.
        seed: int. Of the trainings; the data are always the same. Defaults to `0`.
        quick: bool. Whether to take few samples and steps, to see that everything works. Defaults to `False`.
        export: folder of the model's versions or None. Where to write the multi-task network as a SavedModel, verified
            in a fresh process. Defaults to `None`, nowhere.

    Raises:
        ValueError: there is no such problem, or `steps` is not positive.
        ModuleNotFoundError: SciPy is needed and not installed.
    """
    check_one_of("run_study", "problem", problem, list(STUDIES))
    known = STUDIES[problem]
    steps = steps or (_QUICK_STEPS if quick else known.steps)
    options = {"scale": _QUICK_SCALE, "curve": (), **known.quick} if quick else {}
    study = known.make(replace(known.setting(steps, seed), run_eagerly=quick), **options)
    started = time.perf_counter()
    splits = {"train": study.train_data, "test": study.test_data}
    if hasattr(study, "new_data"):
        splits["transfer"] = study.new_data
    solver_seconds = time.perf_counter() - started
    samples = sum(len(data) for data in splits.values())
    facts = {
        "problem": problem,
        "equation": study.equation,
        "seeds": {"train": 0, "test": 1, "transfer": 2},
        "solver_error": study.solver_error(),
        "solver_seconds": solver_seconds,
    }
    store(output, splits, facts)
    console.print(f"{samples:,} samples solved in {solver_seconds:.1f} s; solver error {facts['solver_error']:.1e}")
    rows: list[Row] = []
    for name, job in study.jobs().items():
        with console.status(f"{name} ..."):
            rows += job()
    print_rows(console, rows, study.test_data.task_names, f"{problem}: mean relative L2 error, {steps} steps")
    _print_times(console, study, solver_seconds / samples)
    study.network.save(output / MODEL_FILE)
    fields = predicted(study.network, study.test_data)
    field_figure(study.test_data, fields, study.picture).savefig(output / FIGURE_FILE, dpi=110)
    record = {**facts, "setting": asdict(study.setting), "rows": [_as_record(row) for row in rows]}
    (output / RESULTS_FILE).write_text(json.dumps(record, indent=1) + "\n")
    if export is not None:
        with console.status("Exporting, and replaying requests in a fresh process ..."):
            version = export_operator(study.network, study.test_data, export, problem, check=verify)
        console.print(f"Wrote {version}; how to ask it: {ExportedVersion(version).page}. Next: tfmtl serve {export}")
    return rows


def print_rows(console: Console, rows: Sequence[Row], tasks: Sequence[str], title: str) -> None:
    """A line per row, a column per task; of many tasks the mean alone."""
    many = len(tasks) > _MOST_COLUMNS
    # On a narrow screen, or in a file, the names are broken, never the numbers.
    numbers = (*(["mean of the tasks"] if many else tasks), "worst", "steps", "seconds")
    table = Table("", *(Column(name, no_wrap=True, justify="right") for name in numbers))
    for row in rows:
        means = row.means()
        shown = [f"{means[task]:.4f}" if task in means else "-" for task in tasks]
        if many:
            shown = [f"{np.mean(list(means.values())):.4f}"]
        worst = max(float(np.max(errors)) for errors in row.errors.values())
        used = [f"{row.steps:,}", f"{row.seconds:.1f}"] if row.steps else ["", ""]
        table.add_row(row.name, *shown, f"{worst:.3f}", *used)
    console.print(f"[bold]{title}[/bold]")
    console.print(table)


def _print_times(console: Console, study: Any, solver_seconds: float) -> None:
    """What a field costs with the solver and with the network, alone and in a batch."""
    network, data = study.network, study.test_data
    parts = []
    for count in (1, min(64, len(data))):
        batch = data.rows(slice(count)).features()
        network(batch)
        started = time.perf_counter()
        for _ in range(3):
            np.asarray(network(batch))
        parts.append(f"{1e3 * (time.perf_counter() - started) / 3 / count:.2f} ms in a batch of {count}")
    console.print(f"A field costs {1e3 * solver_seconds:.2f} ms with the solver; with the network {', '.join(parts)}.")


def _as_record(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "errors": row.means(),
        "worst": {task: float(np.max(errors)) for task, errors in row.errors.items()},
        "steps": row.steps,
        "seconds": row.seconds,
    }
