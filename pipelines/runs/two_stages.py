"""Every step of two stages in a row, from the raw log to an answered request."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tfmtl.data import PreparedData
from tfmtl.export import export, verify
from tfmtl.folders import ExportedVersion, PreparedFolder
from tfmtl.pipelines.cli.screen import print_manifest, print_two_stages
from tfmtl.pipelines.runs.all_steps import log_of, preprocessed
from tfmtl.pipelines.runs.retrieval_reports import prove_lists, read_record, say_epoch
from tfmtl.pipelines.runs.steps import Steps
from tfmtl.retrieval import (
    ComposeOptions,
    NegativeOptions,
    RetrievalOptions,
    compose,
    fit_retrieval,
    ranking_negatives,
    training_items,
    two_stage_quality,
)
from tfmtl.retrieval.retrieval_module import SCORE as _RETRIEVAL
from tfmtl.retrieval.sides import pair_features
from tfmtl.schema import Problem
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.training import TrainOptions, evaluate, fit

_K = 10
_QUERIES = 3000


def run_two_stage(
    console: Console,
    dataset: str,
    output: Path,
    *,
    folder: Path | None,
    preset: str,
    preset_options: Mapping[str, Any],
    epochs: int,
    negatives: int,
    exclude_seen: bool,
    seed: int,
) -> None:
    """Runs every step below `output`; prepared data that lies there already is taken as it is.

    Args:
        console: where to tell what happens.
        dataset: name of a public data set, or a folder with a log and its problem.yaml.
        output: everything is written below it.
        folder: raw files of the data set; fetched if `None`.
        preset: the ranking model.
        preset_options: of that preset.
        epochs: of the ranking model, at most.
        negatives: items per row that the ranking is trained with beside those that were chosen; 0 for none.
        exclude_seen: whether the items of a user's histories are left out of the lists.
        seed: of every step.
    """
    options = TrainOptions(preset=preset, preset_options=dict(preset_options), epochs=epochs, seed=seed)
    step = Steps(console)
    raw, problem = log_of(step, dataset, output, folder)
    data = _prepared(console, step, problem, raw, output / "data", seed)
    chosen = RetrievalOptions(seed=seed).resolved(data.problem)
    task, item = str(chosen.task), str(chosen.item)
    step(f"Train the two towers of retrieval to find items with {task} == 1 (TFRS, in a process of its own)")
    begun = time.monotonic()
    items = training_items(data, str(raw), item=item)
    retrieval = fit_retrieval(data, items, output / "retrieval", chosen, on_epoch=say_epoch)
    console.print(f"{items.num_rows:,} items in the index; {time.monotonic() - begun:.0f} s")
    orders = [task, f"{task}*{_RETRIEVAL}"]
    if negatives:
        drawn = NegativeOptions(negatives, seed=seed)
        step(f"Draw {negatives} negatives a row from what retrieval finds and the users did not take")
        data = ranking_negatives(data, str(raw), retrieval, output / "ranking_data", drawn)
        print_manifest(console, data.manifest)
        options = replace(options, monitor=f"val_{drawn.task}/auc")
        both = f"{drawn.task}*{task}"
        orders = [both, f"{both}*{_RETRIEVAL}", f"({both})**0.5*{_RETRIEVAL}", *orders]
    step(f"Train {preset} for the ranking ({data.num_examples('train'):,} examples)")
    begun = time.monotonic()
    model = fit(data, output / "runs" / "ranking", options, verbose=1 if console.is_terminal else 2)
    report = evaluate(model, data, "test")
    console.print(f"{time.monotonic() - begun:.0f} s")
    step("Export it, and verify it in a fresh process")
    ranking = export(model, data, output / "ranking", check=verify)
    quality = None
    order_by = orders[1]
    if pairs := pair_features(data.problem):
        step(f"The list is ordered by {order_by}")
        console.print(
            f"Other orders are not tried: {pairs[0].name} and other features of a user and an item together are known "
            "for raw requests only."
        )
    else:
        step(f"Choose on the validation split what orders the list, then look at the test split: {', '.join(orders)}")
        begun = time.monotonic()
        quality = {
            split: two_stage_quality(
                model,
                data,
                retrieval,
                [_RETRIEVAL, *orders],
                split=split,
                k=_K,
                exclude_seen=exclude_seen,
                queries=_QUERIES,
                seed=seed,
            )
            for split in ("valid", "test")
        }
        order_by = max(orders, key=lambda order: quality["valid"]["orders"][order]["ndcg"])
        chosen_order = {split: found["orders"][order_by] for split, found in quality.items()}
        leads = [f"{own['lead_low']:+.4f} to {own['lead_high']:+.4f} on {split}" for split, own in chosen_order.items()]
        console.print(
            f"{order_by} has the highest NDCG on validation. Above that of retrieval's own order, 95 % interval: "
            f"{', '.join(leads)}; {time.monotonic() - begun:.0f} s"
        )
    step("Join both into one SavedModel, and verify it in a fresh process")
    joined = ComposeOptions(order_by, exclude_seen=exclude_seen)
    version = compose(retrieval, ranking, output / "two_stage", options=joined, check=prove_lists)
    step("Serve it on this machine and ask for a user's list over gRPC and REST")
    _ask(console, version, problem.name, item)
    step(f"Results after {step.seconds:.0f} s")
    record = read_record(retrieval)
    results = {"recall": record["recall"]["test"], "quality": quality, "ranking": report, "chosen": order_by}
    (output / "two_stage_results.json").write_text(json.dumps(results, indent=1) + "\n")
    print_two_stages(console, record, quality["test"] if quality else None, report, _K, exclude_seen)
    console.print(f"Everything lies in {output}: retrieval, ranking and two_stage hold exported versions.")
    console.print(f"Serve the joined one with: tfmtl serve {output / 'two_stage'}")


def _prepared(console: Console, step: Steps, problem: Problem, raw: Path, folder: Path, seed: int) -> PreparedData:
    """The preprocessed log; anew unless it lies there already."""
    if PreparedFolder(folder).is_complete:
        data = PreparedData(folder)
        if data.problem == problem and data.manifest["seed"] == seed:
            step(f"Take the data that is prepared in {folder}")
            return data
    return preprocessed(console, step, problem, raw, folder, seed)


def _ask(console: Console, version: Path, name: str, item: str) -> None:
    """Sends one real request over both protocols and shows the list."""
    body = json.loads(ExportedVersion(version).rest_request("recommend").read_text())
    with LocalServer(version.parent, name, grpc_port=0, rest_port=0) as server:
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", name) as client:
            over_grpc = client.predict(body["inputs"], signature_name="recommend", timeout=30.0)
            begun = time.monotonic()
            client.predict(body["inputs"], signature_name="recommend", timeout=30.0)
            milliseconds = 1000.0 * (time.monotonic() - begun)
        rest = RestClient(f"http://127.0.0.1:{server.rest_port}", name)
        over_rest = rest.predict(body["inputs"], signature_name="recommend", timeout=30.0)
    for protocol, answer in {"gRPC": over_grpc, "REST": over_rest}.items():
        shown = [
            f"{value.decode()} ({score:.4f})" for value, score in zip(answer[item][0], answer["order"][0], strict=True)
        ]
        console.print(f"  {protocol}: {', '.join(shown)}")
    console.print(f"  {milliseconds:.0f} ms per request over gRPC")
