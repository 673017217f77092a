"""The commands of two stages: train a retrieval model, join it with a ranking model, do every step in a row."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.data_commands import console
from pipelines.preprocess_command import Seed
from pipelines.retrieval_reports import prove_lists, read_record, say_epoch


def retrieve(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model's versions.")],
    task: Annotated[
        str | None, typer.Option(help="Binary task whose positive rows are to be found; default: the first.")
    ] = None,
    item: Annotated[
        str | None, typer.Option(help="Feature that identifies an item; default: the first categorical of side item.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs; the best on validation is kept.")] = 8,
    batch_size: Annotated[int, typer.Option(help="Positives a step, each other's negatives.")] = 512,
    dim: Annotated[int, typer.Option(help="Width of embeddings and of what the towers put out.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of Adagrad.")] = 0.1,
    temperature: Annotated[float, typer.Option(help="Of the softmax over cosines.")] = 0.1,
    log: Annotated[
        list[str] | None, typer.Option(help="Where the preprocessed log lies now, if it was moved; as often as needed.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Version; default: the next one.")] = None,
    seed: Seed = 0,
) -> None:
    """Train a TFRS two-tower model that finds items for users; writes an index of all training items."""
    from pipelines.tables import print_recalls
    from pipelines.training_items import training_items
    from tfmtl.data import PreparedData
    from tfmtl.retrieval import RetrievalOptions, fit_retrieval

    prepared = PreparedData(data)
    options = RetrievalOptions(
        task=task,
        item=item,
        epochs=epochs,
        batch_size=batch_size,
        dim=dim,
        learning_rate=learning_rate,
        temperature=temperature,
        seed=seed,
    ).resolved(prepared.problem)
    with console.status("Looking the items up in the log ..."):
        items = training_items(prepared, str(options.item), log)
    path = fit_retrieval(prepared, items, output, options, version, say_epoch)
    print_recalls(console, read_record(path))
    console.print(f"Wrote {path}. Next: tfmtl compose {output} <exported model> -o <folder>")


def compose(
    retrieval: Annotated[Path, typer.Argument(help="Output folder of `tfmtl retrieve`.")],
    ranking: Annotated[Path, typer.Argument(help="Output folder of `tfmtl export`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the joined model's versions.")],
    order_by: Annotated[
        str | None,
        typer.Option(help="Orders the list: tasks and `retrieval`, as in 'click*retrieval'; default: the first task."),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Items that retrieval hands to the ranking.")] = 100,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out what is in the histories of a request.")
    ] = False,
    version: Annotated[int | None, typer.Option(help="Version; default: the next one.")] = None,
) -> None:
    """Join retrieval and ranking into one SavedModel: a user in, the best items with every task's score out."""
    from tfmtl.retrieval import ComposeOptions
    from tfmtl.retrieval import compose as join

    options = ComposeOptions(order_by, candidates, exclude_seen)
    with console.status("Joining, and asking for real users in a fresh process ..."):
        path = join(retrieval, ranking, output, version, options, check=prove_lists)
    console.print(f"Wrote {path}; how to ask it: {path}/assets.extra/signature.md. Next: tfmtl serve {output}")


def run_two_stage(
    dataset: Annotated[
        str, typer.Argument(help="A data set of `tfmtl datasets`, or a folder with log and problem.yaml.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything.")],
    folder: Annotated[Path | None, typer.Option(help="Folder with the data set's raw files.")] = None,
    preset: Annotated[str, typer.Option(help="The ranking model.")] = "mmoe",
    settings: Annotated[list[str] | None, typer.Option("--set", help="Preset option, such as num_experts=8.")] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of the ranking model at most.")] = 4,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen", help="Leave out what is in the histories of a request.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Do every step of two stages: data, both models, one SavedModel, a served request, recall and ranking quality."""
    from pipelines.option_values import option_values
    from pipelines.run_two_stage import run_two_stage as run

    chosen = option_values("run-two-stage", settings or [])
    run(
        console,
        dataset,
        output,
        folder=folder,
        preset=preset,
        preset_options=chosen,
        epochs=epochs,
        exclude_seen=exclude_seen,
        seed=seed,
    )
