"""Every step in a row, from the raw log to an answered request."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
from rich.console import Console
from rich.markup import escape

from tfmtl.data import PreparedData
from tfmtl.data.example_spec import raw_signature
from tfmtl.export import export, verify
from tfmtl.export.raw_batch import to_tensors
from tfmtl.folders import TrainedRun
from tfmtl.models import MultiTaskModel
from tfmtl.pipelines.cli.screen import print_manifest, print_metrics
from tfmtl.pipelines.datasets import DATASETS, Dataset
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.pipelines.runs.steps import Steps
from tfmtl.pipelines.runs.tree_rows import add_trees
from tfmtl.schema import Problem
from tfmtl.schema.checks import check_one_of
from tfmtl.schema.problem_file import PROBLEM_FILE, read_problem_file
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.training import TrainOptions, evaluate, fit

_REQUEST_ROWS = 4


def run_all(
    console: Console,
    dataset: str,
    output: Path,
    *,
    folder: Path | None,
    presets: list[str],
    epochs: int,
    seed: int,
) -> None:
    """Runs every step below `output`; the first preset is exported and served, the others are compared with it.

    Args:
        console: where to tell what happens.
        dataset: name of a public data set, or a folder with a log and its problem.yaml.
        output: everything is written below it.
        folder: raw files of the data set; fetched if `None`.
        presets: models to train.
        epochs: at most.
        seed: of every step.
    """
    source = DATASETS.get(dataset)
    own = source.training if isinstance(source, Dataset) else {}
    runs = {preset: TrainOptions(preset=preset, epochs=epochs, seed=seed, **own) for preset in presets}
    step = Steps(console)
    raw, problem = log_of(step, dataset, output, folder)
    data = preprocessed(console, step, problem, raw, output / "data", seed)
    reports: dict[str, dict[str, Any]] = {}
    models: dict[str, MultiTaskModel] = {}
    for preset, options in runs.items():
        step(f"Train {preset} ({data.num_examples('train'):,} examples, stops when validation stops improving)")
        models[preset] = fit(data, output / "runs" / preset, options, verbose=1 if console.is_terminal else 2)
        reports[preset] = evaluate(models[preset], data, "test")
    chosen = presets[0]
    step("Fit boosted trees and a linear model to the same training split, for comparison")
    try:
        add_trees(console, reports[chosen], data, "test", seed)
    except ImportError as error:
        console.print(f"Left out: {escape(str(error))}")
    for preset, report in reports.items():
        evaluation = TrainedRun(output / "runs" / preset).evaluation("test")
        evaluation.write_text(json.dumps(report, indent=1) + "\n")
    step(f"Export {chosen} as a SavedModel that takes raw features")

    def prove(version: Path) -> None:
        step("Verify it in a fresh process: raw requests through the SavedModel against the training graph")
        verification = verify(version)
        console.print(f"{verification.requests} real requests, largest difference {verification.largest:.1e}")

    version = export(models[chosen], data, output / "model", check=prove)
    step("Serve it on this machine and send it real requests over gRPC and REST")
    made_up = source if isinstance(source, Dataset) and source.known else None
    rows = parquet.read_table(raw / "log.parquet") if made_up else None
    _ask(console, data, version.parent, problem.name, partial(made_up.ask, rows) if made_up and made_up.ask else None)
    step(f"Results after {step.seconds:.0f} s")
    print_metrics(console, reports, f"{problem.name}, test split ({data.num_examples('test'):,} examples)")
    if made_up and made_up.known and rows is not None:
        console.print(made_up.known(rows))
    console.print(f"Everything lies in {output}:")
    for name, what in {
        "data": "TFRecords, manifest, rejected rows, fitted transformation",
        "runs": "one folder per model: its best epoch, history, TensorBoard curves, evaluation on the test split",
        "model": f"exported versions; serve them with: tfmtl serve {output / 'model'}",
    }.items():
        console.print(f"  {output / name}: {what}")


def log_of(step: Steps, dataset: str, output: Path, folder: Path | None) -> tuple[Path, Problem]:
    """The folder with the log and its problem; a public data set is fetched."""
    if (Path(dataset) / PROBLEM_FILE).is_file():
        step(f"Take the log in {dataset}")
        return Path(dataset), read_problem_file(Path(dataset) / PROBLEM_FILE)
    check_one_of("run", "dataset", dataset, list(DATASETS))
    step(f"Fetch {DATASETS[dataset].summary}")
    raw = DATASETS[dataset].prepare(output / "raw", folder)
    return raw, DATASETS[dataset].problem


def preprocessed(console: Console, step: Steps, problem: Problem, raw: Path, folder: Path, seed: int) -> PreparedData:
    """The log in `raw`, preprocessed into `folder`."""
    step(f"Preprocess into {folder}")
    with console.status("Reading, analyzing, cutting sequences, writing TFRecords ..."):
        manifest = preprocess(problem, [str(raw)], str(folder), seed=seed)
    print_manifest(console, manifest)
    return PreparedData(folder)


def presets_of(dataset: str) -> tuple[str, ...]:
    """The presets that are trained where none are named."""
    source = DATASETS.get(dataset)
    return source.presets if isinstance(source, Dataset) else Dataset.presets


def _ask(
    console: Console, data: PreparedData, model: Path, name: str, further: Callable[[GrpcClient], list[str]] | None
) -> None:
    """Sends the same real requests over both protocols, shows that the answers agree, and asks what there is beside."""
    requests = [request["features"] for request in data.requests()[:_REQUEST_ROWS]]
    features = {key: value.numpy() for key, value in to_tensors(requests, raw_signature(data.problem)).items()}
    with LocalServer(model, name, grpc_port=0, rest_port=0) as server:
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", name, ignore_extra=True) as client:
            over_grpc = client.predict(features, timeout=30.0)
            lines = further(client) if further else []
        over_rest = RestClient(f"http://127.0.0.1:{server.rest_port}", name).predict(features, timeout=30.0)
    for task in data.inputs.task_names:
        answers = {"gRPC": over_grpc[task], "REST": over_rest[task]}
        shown = [f"{protocol} {', '.join(f'{score:.4f}' for score in scores)}" for protocol, scores in answers.items()]
        console.print(f"  {task}: {'; '.join(shown)}")
    for line in lines:
        console.print(line)
