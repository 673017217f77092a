"""The command that searches for good options of training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.pipelines.cli.arguments import DataFolder
from tfmtl.pipelines.cli.dataclass_options import DataclassOptions, options_of
from tfmtl.pipelines.cli.screen import console


@options_of(DataclassOptions("tfmtl.training.train_options:TrainOptions", settings="preset_options"))
def tune(
    data: DataFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the search and its trials.")],
    options: Any,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="An option of training, or set.<option of the preset>, and where to search: "
            "'learning_rate={low: 1e-4, high: 1e-2, log: true}' or 'set.num_experts=[4, 8]'. May be given several "
            "times; in a file a mapping."
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Number of trials, those of before included.")] = 20,
    jobs: Annotated[int, typer.Option(help="Trials at a time, each a process.")] = 1,
    prune: Annotated[bool, typer.Option(help="Stop trials below the median of those before.")] = True,
) -> None:
    """Search for the options that validation likes best; all other options are those of `tfmtl train`.

    The same command goes on with a search that was stopped or killed. `best.yaml` repeats the best trial:
    `tfmtl train --config <folder>/best.yaml -o <run>`.
    """
    from tfmtl.data import PreparedData
    from tfmtl.pipelines.cli.option_values import named_texts
    from tfmtl.schema.checks import check_positive_int
    from tfmtl.schema.extras import need_extra

    need_extra("tune", "tune", "optuna")
    from tfmtl.pipelines.tuning.search_space import SearchSpace
    from tfmtl.pipelines.tuning.study import Study
    from tfmtl.pipelines.tuning.study_facts import study_facts
    from tfmtl.report.tuning_report import tuning_report

    for name, value in {"trials": trials, "jobs": jobs}.items():
        check_positive_int("tune", name, value)
    searched = SearchSpace(named_texts("tune", "--space", space or []), options)
    study = Study(PreparedData(data), output, searched, seed=options.seed, prune=prune, jobs=jobs)
    study.run(trials, lambda sentence: console.print(sentence, markup=False))
    tuning_report(study_facts(study), study.folder.page)
    best = study.best
    if best is None:
        raise ValueError(
            f"tune: no trial has ended with a result. Look at {study.folder.log(0)}, or at the page "
            f"{study.folder.page}."
        )
    console.print(f"Best: trial {best.number}, {study.monitor} {best.value:.4f}. Wrote {study.folder.page}.")
    console.print(f"Repeat it: tfmtl train --config {study.folder.best} -o <folder>")
