"""What derived features cost: rows preprocessed a second, a training step, and a request to rank.

    python -m benchmarks.speed.derived_cost <log.parquet> <problem.yaml, of format 2>

The same log with its derived features, without its rates and without any, in one process and in turn; medians of
processor time. Without any means without histories, matches and rates; parts of the time stay, since they replace
columns. Models are not trained.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow


def main(
    log: Path,
    problem: Path,
    preset: str = "mmoe",
    candidates: int = 500,
    rounds: Annotated[int, typer.Option(help="Of steps and requests; the log is read eight times.", min=1)] = 40,
    batch_size: int = 512,
) -> None:
    """Prints the table."""
    start_tensorflow()
    from tfmtl.data import PreparedData
    from tfmtl.pipelines.preprocess.job import preprocess
    from tfmtl.schema.problem_file import read_problem_file

    whole = read_problem_file(problem)
    plain = replace(whole, features=tuple(each for each in whole.features if each.inputs() or not each.sources))
    unlabeled = replace(whole, features=tuple(each for each in whole.features if not each.reads_labels))
    problems = {"with": whole, "without rates": unlabeled, "without": plain}
    if unlabeled in (whole, plain):
        del problems["without rates"]
    with tempfile.TemporaryDirectory() as folder:
        sides = {}
        for name, each in problems.items():
            sides[name] = lambda each=each, name=name: preprocess(each, [str(log)], f"{folder}/{name}", num_shards=4)
        reading = _medians(sides, 7, warm_up=1)
        data = {name: PreparedData(f"{folder}/{name}") for name in sides}
        rows = data["with"].manifest["rows_in"]
        models = {name: _model(preset, each) for name, each in data.items()}
        steps = {name: _step(models[name], each, batch_size) for name, each in data.items()}
        stepping = _medians(steps, rounds, warm_up=4)
        ranks = {name: _rank(models[name], each, candidates) for name, each in data.items()}
        ranking = _medians(ranks, rounds, warm_up=4)
    numbers = len({tensor.field for tensor in whole.tensors}) - len({tensor.field for tensor in plain.tensors})
    print(f"{whole.name}: {rows:,} rows, {numbers} derived numbers\n")
    names = [*problems, *(f"{name}, ratio" for name in problems if name != "without")]
    print(f"| | {' | '.join(names)} | asked for |\n|---|{'---:|' * len(names)}---|")
    rates = {name: rows / seconds for name, seconds in reading.items()}
    _print_row("rows per second", rates, ",.0f", "at least 0.8")
    for name, found, most in ((f"step of {batch_size}", stepping, 1.1), (f"rank {candidates}", ranking, 1.2)):
        _print_row(f"{name}, ms", {side: 1e3 * seconds for side, seconds in found.items()}, ".1f", f"at most {most}")


def _print_row(name: str, found: dict[str, float], form: str, asked: str) -> None:
    ratios = [f"{each / found['without']:.2f}" for side, each in found.items() if side != "without"]
    print(f"| {name} | {' | '.join([*(format(each, form) for each in found.values()), *ratios])} | {asked} |")


def _medians(sides: dict[str, Callable[[], Any]], rounds: int, warm_up: int) -> dict[str, float]:
    """Median processor seconds of each side, called in turn: other work on the machine does not count."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(warm_up + rounds):
        for name, side in sides.items():
            started = time.process_time()
            side()
            if round_ >= warm_up:
                found[name].append(time.process_time() - started)
    return {name: statistics.median(times) for name, times in found.items()}


def _model(preset: str, data: Any) -> Any:
    from tfmtl.models import from_preset

    model = from_preset(preset, data.inputs)
    model.compile()
    return model


def _step(model: Any, data: Any, batch_size: int) -> Callable[[], Any]:
    features, labels = next(iter(data.train(batch_size)))
    return lambda: model.train_on_batch(features, labels)


def _rank(model: Any, data: Any, candidates: int) -> Callable[[], Any]:
    """One request, of the user with the longest histories."""
    from tfmtl.data.example_spec import candidate_features, rank_signature
    from tfmtl.export.answers import Answers
    from tfmtl.export.raw_batch import to_rank_tensors
    from tfmtl.export.serving_module import RANK, ServingModule

    problem = data.problem
    requests = [each["features"] for each in data.requests()]
    longest = max(requests, key=lambda each: sum(len(value) for value in each.values() if isinstance(value, list)))
    items = [{key: each[key] for key in candidate_features(problem)} for each in requests]
    user = {key: value for key, value in longest.items() if key not in candidate_features(problem)}
    given = to_rank_tensors(user, [items[row % len(items)] for row in range(candidates)], rank_signature(problem))
    module = ServingModule(model, data.transform(), problem, Answers(problem.tasks))
    rank = module.signatures()[RANK]
    return lambda: rank(**given)


if __name__ == "__main__":
    typer.run(main)
