"""Time of a training step as tasks (T) and behaviors (J) grow, beside what the arithmetic asks for.

    python -m benchmarks.speed.step_time

Made-up batches of one problem; the number of its tasks or of its sequences changes. Prints milliseconds per step
(median of several rounds) and the ratio to the first size. Rounds of all sizes alternate, so that a slow phase of the
machine affects all of them.
"""

import statistics
import time
from typing import Annotated, Any

import numpy as np
import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_FIELDS, _LENGTH, _ITEMS = 8, 20, 1000


def main(
    presets: str = "shared_bottom,mmoe,ple,dtrn,dephn,apem",
    tasks: str = "2,4,8,16",
    behaviors: str = "1,2,4,8",
    batch_size: int = 512,
    rounds: int = 5,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 5,
    jit_compile: bool = False,
) -> None:
    """Prints one table for T, with two behaviors, and one for J, with two tasks."""
    start_tensorflow()
    for letter, sizes in (("T", tasks), ("J", behaviors)):
        counts = [int(size) for size in sizes.split(",")]
        print(f"\n| model | {' | '.join(f'{letter} = {count}' for count in counts)} |")
        print("|---" * (len(counts) + 1) + "|")
        for preset in presets.split(","):
            pairs = [(count, 2) if letter == "T" else (2, count) for count in counts]
            medians = _medians(preset, pairs, batch_size, rounds, steps, jit_compile)
            cells = [f"{1e3 * value:.1f} ms ({value / medians[0]:.2f}x)" for value in medians]
            print(f"| {preset} | {' | '.join(cells)} |", flush=True)


def _medians(
    preset: str, sizes: list[tuple[int, int]], batch_size: int, rounds: int, steps: int, jit_compile: bool
) -> list[float]:
    """Median seconds of a step for every (T, J)."""
    runs = [_stepper(preset, tasks, behaviors, batch_size, jit_compile) for tasks, behaviors in sizes]
    for run in runs:
        run()
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, own in zip(runs, seconds, strict=True):
            started = time.perf_counter()
            for _ in range(steps):
                run()
            own.append((time.perf_counter() - started) / steps)
    return [statistics.median(own) for own in seconds]


def _stepper(preset: str, tasks: int, behaviors: int, batch_size: int, jit_compile: bool) -> Any:
    """A function that makes one training step."""
    from tfmtl.data.example_spec import encoded_signature
    from tfmtl.models import from_preset
    from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, ModelInputs, Problem, SequenceFeature

    problem = Problem(
        name="step",
        keys=Keys(user="user", time="time"),
        features=tuple(CategoricalFeature(f"field{n}", dim=16) for n in range(_FIELDS)),
        sequences=tuple(
            SequenceFeature(f"behavior{n}", ("field0",), when=f"task0 == {n}", max_length=_LENGTH, time_gap_buckets=0)
            for n in range(behaviors)
        ),
        tasks=tuple(BinaryTask(f"task{n}") for n in range(tasks)),
    )
    names = [task.name for task in problem.tasks]
    inputs = ModelInputs(problem, dict.fromkeys(problem.tables, _ITEMS), dict.fromkeys(names, 0.3), {})
    model = from_preset(preset, inputs)
    model.compile(jit_compile=jit_compile)
    generator = np.random.default_rng(0)
    features = {}
    for key, spec in encoded_signature(problem).items():
        shape = (batch_size, *spec.shape[1:])
        is_id = spec.dtype == "int32"
        values = generator.integers(1, _ITEMS, shape) if is_id else generator.normal(size=shape)
        features[key] = values.astype("int32" if is_id else "float32")
    labels = {name: generator.integers(0, 2, batch_size).astype("float32") for name in names}
    return lambda: model.train_on_batch(features, labels)


if __name__ == "__main__":
    typer.run(main)
