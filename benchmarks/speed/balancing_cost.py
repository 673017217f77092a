"""Time of a training step with methods that balance tasks or look for flat minima, beside the plain step.

    python -m benchmarks.speed.balancing_cost

Made-up batches of a problem of categorical fields; the number of its tasks T grows. Prints milliseconds of the plain
step and the others' ratios to it, medians of rounds in which all alternate, so that a slow spell meets all. Beside
them, what the arithmetic allows: a backward pass costs about two forward passes, so gradients task by task at the
weights may cost (1 + 2T) / 3 plain steps, at the representation one; a margin is for everything else.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_ROWS, _WIDTH = 1000, 16


def main(
    presets: str = "shared_bottom,mmoe",
    tasks: str = "2,4,8",
    methods: str = "",
    fields: int = 34,
    batch_size: int = 1024,
    rounds: int = 5,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 2,
    jit_compile: bool = False,
) -> None:
    """Prints one table for each model."""
    start_tensorflow()
    chosen = {name: value for name, value in _methods().items() if not methods or name in methods.split(",")}
    chosen = {"plain": {}, **chosen}
    counts = [int(count) for count in tasks.split(",")]
    for preset in presets.split(","):
        print(f"\n| {preset} | {' | '.join(f'T = {count}' for count in counts)} |")
        print("|---" * (len(counts) + 1) + "|")
        columns = [_medians(preset, count, chosen, fields, batch_size, rounds, steps, jit_compile) for count in counts]
        for name in chosen:
            cells = [
                _cell(name, count, column[name], column["plain"]) for count, column in zip(counts, columns, strict=True)
            ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _methods() -> dict[str, dict[str, Any]]:
    """Arguments of `compile` by the method's name."""
    from tfmtl.sharpness import SAM

    return {
        "pcgrad parameters": {"balancing": "pcgrad"},
        "pcgrad representation": {"balancing": "pcgrad", "balance_at": "representation"},
        "uncertainty": {"balancing": "uncertainty"},
        "sam": {"sharpness": "sam"},
        "decomposed sam": {"sharpness": SAM(decomposed=True)},
    }


def _cell(name: str, tasks: int, seconds: float, plain: float) -> str:
    if name == "plain":
        return f"{1e3 * seconds:.1f} ms"
    bounds = {"pcgrad parameters": 1.15 * (1 + 2 * tasks) / 3, "pcgrad representation": 1.3}
    bound = f" (at most {bounds[name]:.2f})" if name in bounds else ""
    return f"{seconds / plain:.2f}{bound}"


def _medians(
    preset: str,
    tasks: int,
    methods: dict[str, dict[str, Any]],
    fields: int,
    batch_size: int,
    rounds: int,
    steps: int,
    jit_compile: bool,
) -> dict[str, float]:
    """Median seconds of a step for every method."""
    runs = {name: _stepper(preset, tasks, value, fields, batch_size, jit_compile) for name, value in methods.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            for _ in range(steps):
                run()
            if round_number:  # the first one traces the graph
                seconds[name].append((time.perf_counter() - started) / steps)
    return {name: statistics.median(own) for name, own in seconds.items()}


def _stepper(
    preset: str, tasks: int, method: dict[str, Any], fields: int, batch_size: int, jit_compile: bool
) -> Callable[[], Any]:
    """A function that makes one training step."""
    from tfmtl.models import from_preset
    from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, ModelInputs, Problem

    names = [f"task{n}" for n in range(tasks)]
    problem = Problem(
        name="step",
        keys=Keys(user="field0", time="time"),
        features=tuple(CategoricalFeature(f"field{n}", dim=_WIDTH) for n in range(fields)),
        tasks=tuple(BinaryTask(name) for name in names),
    )
    inputs = ModelInputs(problem, dict.fromkeys(problem.tables, _ROWS), dict.fromkeys(names, 0.3), {})
    model = from_preset(preset, inputs, hidden_units=(128, 64))
    model.compile(jit_compile=jit_compile, **method)
    generator = np.random.default_rng(0)
    ids = {f"field{n}": generator.integers(1, _ROWS, batch_size).astype("int32") for n in range(fields)}
    labels = {name: generator.integers(0, 2, batch_size).astype("float32") for name in names}
    return lambda: model.train_on_batch(ids, labels)


if __name__ == "__main__":
    typer.run(main)
