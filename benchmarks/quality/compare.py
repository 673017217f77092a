"""Presets against each other on one data folder, over several seeds.

    python -m benchmarks.quality.compare demo/data --presets single_task,mmoe,dtrn --seeds 0,1,2

Prints a Markdown table, mean and standard deviation of the exact test metrics, and keeps every run as a line of JSON.
All presets get the same options, by default those of `tfmtl train`. The epoch is chosen on the validation split.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.quality.experiment import WORK, measure
from benchmarks.quality.jobs import Variant
from benchmarks.quality.tables import quality_table
from tfmtl.pipelines.cli.option_values import option_values
from tfmtl.training.train_options import TrainOptions

DEFAULTS = TrainOptions()


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    presets: str = "single_task,shared_bottom,mmoe,dtrn",
    seeds: str = "0,1,2",
    epochs: int = DEFAULTS.epochs,
    batch_size: int = DEFAULTS.batch_size,
    learning_rate: float = DEFAULTS.learning_rate,
    schedule: str = DEFAULTS.schedule,
    ema_momentum: float | None = DEFAULTS.ema_momentum,
    monitor: Annotated[str | None, typer.Option(help="Metric that chooses the epoch.")] = DEFAULTS.monitor,
    name: Annotated[str, typer.Option(help="Of a single preset, as the table shows it.")] = "",
    processes: int = 2,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Preset option for all, name=value.")] = None,
    output: Annotated[Path, typer.Option(help="File of all runs; none is run again.")] = WORK / "compare.jsonl",
) -> None:
    """Trains every preset with every seed and prints the table."""
    options = option_values("compare", settings or [])
    training = {
        key: value for key, value in (("ema_momentum", ema_momentum), ("monitor", monitor)) if value is not None
    }
    variants = [Variant(name or preset, preset, options, training) for preset in presets.split(",")]
    drawn = [int(seed) for seed in seeds.split(",")]
    records = measure(
        output,
        data,
        variants,
        drawn,
        [learning_rate],
        processes,
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedule,
    )
    print("\n" + quality_table(records))


if __name__ == "__main__":
    typer.run(main)
