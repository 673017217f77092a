"""The same protocol for every model: one grid on validation, then all seeds with what it chose."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.quality.jobs import Job, Variant, run_jobs

WORK = Path("benchmarks/.work")
RESULTS = Path("docs/results")


def results_folder(quick: bool) -> Path:
    """Where runs and tables go: quick ones beside the scratch data, full ones into the documentation."""
    return WORK / "quick" if quick else RESULTS


def measure(
    done: Path,
    data: str | Path,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    learning_rates: Sequence[float] = (1e-3,),
    processes: int = 2,
    **job: Any,
) -> list[dict[str, Any]]:
    """Records of every variant with every seed, each at the learning rate that was best on validation.

    The grid is run with the first seed; the metric is the one that training itself watches. `done` keeps all runs.
    """
    grid = [Job(str(data), variant, seeds[0], rate, **job) for variant in variants for rate in learning_rates]
    chosen = {}
    for trial, record in zip(grid, run_jobs(grid, done, processes), strict=True):
        sign = -1.0 if record["monitor"].endswith(("loss", "rmse")) else 1.0
        score = sign * record["best"]
        if trial.variant.name not in chosen or score > chosen[trial.variant.name][0]:
            chosen[trial.variant.name] = (score, trial)
    jobs = [replace(trial, seed=seed) for _, trial in chosen.values() for seed in seeds]
    return run_jobs(jobs, done, processes)


def default_parameters(data: str | Path, preset: str = "mmoe") -> int:
    """How many parameters a preset has with its defaults on this data: the budget of the others."""
    from tfmtl.pipelines.cli.quiet_start import start_tensorflow

    start_tensorflow()
    from tfmtl.data import PreparedData
    from tfmtl.models import from_preset

    return int(from_preset(preset, PreparedData(data).inputs).count_params())


def write_text(path: Path, records: Sequence[dict[str, Any]], text: str) -> None:
    """Writes and prints a text, under it with what it was made."""
    command = "python -m " + shlex.join(["benchmarks.quality." + Path(sys.argv[0]).stem, *sys.argv[1:]])
    made = sorted({f"commit {record['commit']}, {record['hardware']}" for record in records if "commit" in record})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text.rstrip()}\n\nMade by `{command}`; {'; '.join(made)}. All runs: `{path.stem}.jsonl`.\n")
    print(text)
