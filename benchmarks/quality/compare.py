"""Presets against each other on one data folder, over several seeds.

    python benchmarks/quality/compare.py demo/data --presets single_task,mmoe,dtrn --seeds 0,1,2

Prints a Markdown table, mean and standard deviation of the exact test metrics, and writes every run's numbers as JSON.
All presets get the same options. The epoch is chosen on the validation split.
"""

import json
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from pipelines.quiet_start import start_tensorflow

_SHOWN = {"auc": "AUC", "gauc": "GAUC", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE"}


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    presets: str = "single_task,shared_bottom,mmoe,dtrn",
    seeds: str = "0,1,2",
    epochs: int = 10,
    batch_size: int = 512,
    learning_rate: float = 1e-3,
    jit_compile: bool = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Preset option for all, name=value.")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON file with all numbers.")] = None,
) -> None:
    """Trains every preset with every seed and prints the table."""
    start_tensorflow()
    from tfmtl.data import PreparedData
    from tfmtl.training import TrainOptions, evaluate, fit

    prepared = PreparedData(data)
    pairs = (setting.split("=", 1) for setting in settings or [])
    preset_options = {name: yaml.safe_load(value) for name, value in pairs}
    runs: list[dict[str, Any]] = []
    for preset in presets.split(","):
        for seed in map(int, seeds.split(",")):
            options = TrainOptions(
                preset=preset,
                preset_options=preset_options,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
                jit_compile=jit_compile,
            )
            with tempfile.TemporaryDirectory() as folder:
                model = fit(prepared, folder, options, verbose=0)
                record = json.loads((Path(folder) / "run.json").read_text())
            runs.append(
                {
                    "preset": preset,
                    "seed": seed,
                    "parameters": record["parameters"],
                    "epochs": len(record["history"]["loss"]),
                    "examples_per_second": record["examples_per_second"],
                    "test": evaluate(model, prepared, "test"),
                }
            )
            print(f"{preset} seed {seed}: {_one_line(runs[-1]['test'])}", flush=True)
    print("\n" + markdown(runs))
    if output is not None:
        facts = {"data": str(data), "processor": platform.processor() or platform.machine(), "runs": runs}
        output.write_text(json.dumps(facts, indent=1) + "\n")


def _one_line(report: dict[str, dict[str, Any]]) -> str:
    return ", ".join(
        f"{task} {name} {metrics[name]:.4f}"
        for task, metrics in report.items()
        for name in ("auc", "rmse")
        if name in metrics
    )


def markdown(runs: list[dict[str, Any]]) -> str:
    """The table: a row per task and preset, mean ± standard deviation over the seeds."""
    lines = [f"| task | model | {' | '.join(_SHOWN.values())} | parameters |", "|---|---|" + "---|" * (len(_SHOWN) + 1)]
    for task in runs[0]["test"]:
        for preset in dict.fromkeys(run["preset"] for run in runs):
            mine = [run for run in runs if run["preset"] == preset]
            cells = [_cell([run["test"][task].get(name) for run in mine]) for name in _SHOWN]
            lines.append(f"| {task} | {preset} | {' | '.join(cells)} | {mine[0]['parameters']:,} |")
    return "\n".join(lines)


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.4f} ± {np.std(known, ddof=min(1, len(known) - 1)):.4f}" if known else ""


if __name__ == "__main__":
    typer.run(main)
