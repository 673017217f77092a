"""The commands for two stages: train a retrieval model, join it with a ranking model, run all steps."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.pipelines.cli.arguments import DataFolder, Seed, Settings, Version
from tfmtl.pipelines.cli.dataclass_options import DataclassOptions, options_of
from tfmtl.pipelines.cli.screen import console
from tfmtl.pipelines.runs.retrieval_reports import prove_lists, read_record, say_epoch
from tfmtl.schema.problem_file import PROBLEM_FILE


@options_of(DataclassOptions("tfmtl.retrieval.retrieval_options:RetrievalOptions", leave_out=("hidden_units",)))
def retrieve(
    data: DataFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model's versions.")],
    options: Any,
    log: Annotated[
        list[str] | None,
        typer.Option(help="Where the preprocessed log lies now, if it was moved. May be given several times."),
    ] = None,
    version: Version = None,
) -> None:
    """Train a TFRS two-tower model that finds items for users; writes an index of all training items."""
    from tfmtl.data import PreparedData
    from tfmtl.pipelines.cli.screen import print_recalls
    from tfmtl.retrieval import fit_retrieval, training_items

    prepared = PreparedData(data)
    options = options.resolved(prepared.problem)
    with console.status("Reading the items from the log ..."):
        items = training_items(prepared, log, item=options.item)
    path = fit_retrieval(prepared, items, output, options, version, say_epoch)
    print_recalls(console, read_record(path))
    console.print(f"Wrote {path}. Next: tfmtl compose {output} <exported model> -o <folder>")


@options_of(DataclassOptions("tfmtl.retrieval.negative_options:NegativeOptions"))
def negatives(
    data: DataFolder,
    retrieval: Annotated[Path, typer.Argument(help="Output folder of `tfmtl retrieve`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data for the ranking.")],
    options: Any,
    log: Annotated[
        list[str] | None,
        typer.Option(help="Where the preprocessed log lies now, if it was moved. May be given several times."),
    ] = None,
) -> None:
    """Prepare data for a ranking: beside the log's rows, items that retrieval finds and the users did not take."""
    from tfmtl.data import PreparedData
    from tfmtl.pipelines.cli.screen import print_manifest
    from tfmtl.retrieval import ranking_negatives

    with console.status("Drawing negatives, writing TFRecords ..."):
        made = ranking_negatives(PreparedData(data), log, retrieval, output, options)
    print_manifest(console, made.manifest)
    console.print(f"Wrote {output}. Next: tfmtl train {output} -o <run folder>")


@options_of(DataclassOptions("tfmtl.retrieval.compose_options:ComposeOptions"))
def compose(
    retrieval: Annotated[Path, typer.Argument(help="Output folder of `tfmtl retrieve`.")],
    ranking: Annotated[Path, typer.Argument(help="Output folder of `tfmtl export`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the joined model's versions.")],
    options: Any,
    version: Version = None,
) -> None:
    """Join retrieval and ranking into one SavedModel, which returns the best items of a user with all scores."""
    from tfmtl.folders import ExportedVersion
    from tfmtl.retrieval import compose as join

    with console.status("Joining, and checking answers for real users in a fresh process ..."):
        path = join(retrieval, ranking, output, version, options, check=prove_lists)
    console.print(f"Wrote {path}; its signatures: {ExportedVersion(path).page}. Next: tfmtl serve {output}")


def run_two_stage(
    dataset: Annotated[
        str, typer.Argument(help=f"A data set of `tfmtl datasets`, or a folder with log and {PROBLEM_FILE}.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all outputs.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder with the data set's raw files. Default: download them.")
    ] = None,
    preset: Annotated[str, typer.Option(help="The ranking model.")] = "mmoe",
    settings: Settings = None,
    epochs: Annotated[int, typer.Option(help="Largest number of epochs of the ranking model.")] = 4,
    negatives: Annotated[
        int,
        typer.Option(
            min=0,
            help="Items per row that the ranking is trained with beside those that users chose: drawn from what "
            "retrieval finds for the row.",
        ),
    ] = 0,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out items that are in the sequences of a request.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Run every step of two stages: data, both models, one SavedModel, a served request, recall, ranking quality."""
    from tfmtl.pipelines.cli.option_values import option_values
    from tfmtl.pipelines.runs.two_stages import run_two_stage as run

    chosen = option_values("run-two-stage", settings or [])
    run(
        console,
        dataset,
        output,
        folder=folder,
        preset=preset,
        preset_options=chosen,
        epochs=epochs,
        negatives=negatives,
        exclude_seen=exclude_seen,
        seed=seed,
    )
