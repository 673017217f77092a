"""The tables of the quality benchmarks: means, deviations, paired tests, and that nothing is run twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.quality import jobs
from benchmarks.quality.jobs import Job, Variant, run_jobs
from benchmarks.quality.tables import best_baseline, quality_table


def records(**aucs: list[float]) -> list[dict]:
    """A record a seed for every variant, with one task."""
    return [
        {
            "variant": name,
            "seed": seed,
            "parameters": 1000,
            "learning_rate": 0.001,
            "test": {"click": {"auc": value, "log_loss": 1.0 - value}},
        }
        for name, values in aucs.items()
        for seed, value in enumerate(values)
    ]


def row(table: str, variant: str) -> list[str]:
    line = next(line for line in table.splitlines() if f"| {variant} |" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_cells_are_mean_and_sample_deviation() -> None:
    values = [0.70, 0.72, 0.77]
    cells = row(quality_table(records(mmoe=values)), "mmoe")
    assert cells[2] == f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"
    assert row(quality_table(records(mmoe=[0.7])), "mmoe")[2] == "0.7000"


def test_verdicts_follow_the_paired_test_against_the_best_baseline() -> None:
    rows = records(
        weak=[0.60, 0.61, 0.62],
        strong=[0.70, 0.71, 0.72],
        better=[0.73, 0.741, 0.75],
        worse=[0.65, 0.662, 0.67],
        tie=[0.69, 0.73, 0.71],
    )
    assert best_baseline(rows, "click", "auc", ["weak", "strong"]) == "strong"
    assert best_baseline(rows, "click", "log_loss", ["weak", "strong"]) == "strong"
    table = quality_table(rows, ["weak", "strong"])
    for variant in ("better", "worse", "tie"):
        assert row(table, variant)[-1].endswith(f"(strong): {variant}")
    p = stats.ttest_rel([0.73, 0.741, 0.75], [0.70, 0.71, 0.72]).pvalue
    assert f"p {p:.3f}" in row(table, "better")[-1]
    assert row(table, "strong")[-1] == ""


@pytest.mark.process  # git says the version
def test_finished_runs_are_read_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("some/folder", Variant("a", "mmoe"), seed=3)
    done = tmp_path / "runs.jsonl"
    done.write_text(json.dumps({"key": job.key, "value": 7}) + "\n")
    monkeypatch.setattr(jobs, "ProcessPoolExecutor", None)  # would fail if anything were run
    assert run_jobs([job], done) == [{"key": job.key, "value": 7}]
    assert Job("another/folder", job.variant, seed=3).key == job.key, "wherever the data lie"
    others = (Job("some/folder", job.variant, seed=4), Job("some/folder", Variant("a", "mmoe", {"num_experts": 2}), 3))
    assert len({other.key for other in others} | {job.key}) == 3
    with pytest.raises(TypeError):
        run_jobs([*others], done)
    monkeypatch.setattr(jobs, "_digest_of_defaults", lambda: "other defaults of training")
    assert job.key not in done.read_text(), "a run of other defaults is another run"
