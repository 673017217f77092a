"""Processor time of a training step as histories grow, for each pooling, and the process's peak memory.

    python -m benchmarks.speed.history_length
    python -m benchmarks.speed.history_length --preset dtrn --poolings mean --batch-size 8

Made-up batches of one problem with one sequence, full histories of L events. Prints milliseconds of processor
time per step, of all threads together (median of several rounds), and the ratio to the shortest history. Rounds of all
poolings alternate, so that a slow phase of the machine affects all of them.
"""

import resource
import statistics
import time
from typing import Annotated, Any

import numpy as np
import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_ITEMS, _DIM = 1000, 16


def main(
    preset: str = "mmoe",
    poolings: str = "mean,target,sdim",
    lengths: str = "64,256,1024,4096",
    batch_size: int = 64,
    rounds: int = 3,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 2,
) -> None:
    """Prints one row for each pooling."""
    start_tensorflow()
    sizes, names = [int(length) for length in lengths.split(",")], poolings.split(",")
    columns: dict[str, list[float]] = {name: [] for name in names}
    for length in sizes:
        runs = [_stepper(preset, name, length, batch_size) for name in names]
        for name, seconds in zip(names, _medians(runs, rounds, steps), strict=True):
            columns[name].append(seconds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"L = {length}: peak so far {peak:,.0f} MiB", flush=True)
    print(f"\n| pooling | {' | '.join(f'L = {length}' for length in sizes)} |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, medians in columns.items():
        cells = [f"{1e3 * seconds:.1f} ms ({seconds / medians[0]:.2f}x)" for seconds in medians]
        print(f"| {name} | {' | '.join(cells)} |")


def _medians(runs: list[Any], rounds: int, steps: int) -> list[float]:
    """Median processor time of a step for every run, in seconds."""
    for run in runs:
        run()
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, own in zip(runs, seconds, strict=True):
            started = time.process_time()
            for _ in range(steps):
                run()
            own.append((time.process_time() - started) / steps)
    return [statistics.median(own) for own in seconds]


def _stepper(preset: str, pooling: str, length: int, batch_size: int) -> Any:
    """A function that makes one training step."""
    from tfmtl.data.example_spec import encoded_signature
    from tfmtl.models import from_preset
    from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, ModelInputs, Problem, SequenceFeature

    problem = Problem(
        name="history",
        keys=Keys(user="user", time="time"),
        features=(CategoricalFeature("item", dim=_DIM), CategoricalFeature("device", dim=_DIM)),
        sequences=(SequenceFeature("seen", ("item",), max_length=length, time_gap_buckets=0),),
        tasks=(BinaryTask("click"), BinaryTask("buy")),
    )
    names = [task.name for task in problem.tasks]
    inputs = ModelInputs(problem, dict.fromkeys(problem.tables, _ITEMS), dict.fromkeys(names, 0.3), {})
    model = from_preset(preset, inputs, pooling=pooling)
    model.compile()
    generator = np.random.default_rng(0)
    features = {
        key: generator.integers(1, _ITEMS, (batch_size, *spec.shape[1:])).astype("int32")
        for key, spec in encoded_signature(problem).items()
    }
    labels = {name: generator.integers(0, 2, batch_size).astype("float32") for name in names}
    return lambda: model.train_on_batch(features, labels)


if __name__ == "__main__":
    typer.run(main)
