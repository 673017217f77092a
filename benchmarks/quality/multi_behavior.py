"""Real logs with several behaviors: every model with as many parameters and the same small grid.

    python -m benchmarks.quality.multi_behavior <data folder>

The folder is `tfmtl preprocess`'s, of movielens_100k, kuairand_explicit, retailrocket_mb, taobao_mb. Widths are scaled
until every model has the parameters of MMoE with its defaults, within 10 %. The learning rate is chosen on validation,
with the first seed. Writes docs/results/<problem>.md and .jsonl.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.quality.experiment import default_parameters, measure, results_folder, write_text
from benchmarks.quality.jobs import Variant
from benchmarks.quality.tables import quality_table
from tfmtl.folders import PreparedFolder

BASELINES = (
    Variant("single task", "single_task"),
    Variant("shared bottom", "shared_bottom"),
    Variant("MMoE", "mmoe"),
    Variant("PLE", "ple"),
    Variant("AITM", "aitm"),
    Variant("MMoE on DIN", "mmoe", {"pooling": "target"}),
)
PAPERS = (
    Variant("DTRN + MMoE", "dtrn"),
    Variant("DTRN + MMoE on DIN", "dtrn", {"pooling": "target"}),
    Variant("DEPHN", "dephn", {"cross_rank": 16}),
    Variant("APEM", "apem"),
)


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    seeds: str = "0,1,2,3,4",
    learning_rates: str = "0.0005,0.001,0.002",
    epochs: int = 8,
    batch_size: int = 512,
    processes: int = 2,
    models: Annotated[str, typer.Option(help="Rows of the table, separated by commas; all if left out.")] = "",
    quick: Annotated[bool, typer.Option(help="One seed, one learning rate, two epochs.")] = False,
) -> None:
    """Trains all models and writes the table."""
    if quick:
        seeds, learning_rates, epochs = "0", "0.001", 2
    chosen = [v for v in (*BASELINES, *PAPERS) if not models or v.name in models.split(",")]
    budget = default_parameters(data)
    name = problem_name(data)
    done = results_folder(quick) / f"{name}.jsonl"
    records = measure(
        done,
        data,
        chosen,
        [int(seed) for seed in seeds.split(",")],
        [float(rate) for rate in learning_rates.split(",")],
        epochs=epochs,
        batch_size=batch_size,
        budget=budget,
        processes=processes,
    )
    baselines = [variant.name for variant in BASELINES if variant in chosen]
    lines = [
        f"# {name}",
        "",
        f"Every model is scaled to {budget:,} parameters within 10 %. {_tuning(learning_rates, seeds)}",
        "Metrics are of the test split, which is later in time; GAUC is the AUC within users.",
        "The last column: difference to the baseline with the best test mean, paired t-test over the seeds.",
        "",
        quality_table(records, baselines),
    ]
    write_text(done.with_suffix(".md"), records, "\n".join(lines))


def _tuning(learning_rates: str, seeds: str) -> str:
    if "," not in learning_rates:
        return f"Nothing is tuned: learning rate {learning_rates}, seeds {seeds}, the best epoch on validation."
    return f"Learning rate: of {learning_rates}, the best on validation with seed {seeds.split(',')[0]}; seeds {seeds}."


def problem_name(data: Path) -> str:
    """The problem's name."""
    from tfmtl.schema import Problem

    return str(Problem.load(PreparedFolder(data).fitted.problem).name)


if __name__ == "__main__":
    typer.run(main)
