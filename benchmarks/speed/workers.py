"""Examples a second of one and of two processes that train one model together.

    python -m benchmarks.speed.workers

MMoE with embedding tables, made-up examples, strategy `multi_worker` on this machine, one thread a process, the same
batches for both sides. Rounds of the two alternate, the other side waiting, so that a slow spell meets both. Prints the
medians and their ratio.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Annotated, Any

import numpy as np
import typer

_FIELDS, _ROWS, _TASKS = 16, 10_000, 3


def main(
    batch_size: Annotated[int, typer.Option(help="Examples a step, of all processes together.")] = 2048,
    rounds: int = 7,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 20,
) -> None:
    """Prints one row a number of processes."""
    sides = {count: _start(count, batch_size, steps) for count in (1, 2)}
    try:
        rates: dict[int, list[float]] = {count: [] for count in sides}
        for number in range(rounds + 1):
            for count, processes in sides.items():
                seconds = _round(processes)
                if number:  # the first compiles
                    rates[count].append(batch_size * steps / seconds)
    finally:
        for process in (process for processes in sides.values() for process in processes):
            process.kill()
            process.wait()
    one, two = (statistics.median(own) for own in rates.values())
    print("| processes | examples/s | ratio |\n|---|---|---|")
    print(f"| 1 | {one:,.0f} | 1.00 |\n| 2 | {two:,.0f} | {two / one:.2f} |")


def _start(count: int, batch_size: int, steps: int) -> list[subprocess.Popen[str]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = (sys.executable, "-m", "benchmarks.speed.workers", str(batch_size), str(steps))
    processes = []
    for index in range(count):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        environment = {**os.environ, **threads, **quiet, "TF_CONFIG": json.dumps(config)}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, env=environment, text=True, **pipes))
    return processes


def _round(processes: list[subprocess.Popen[str]]) -> float:
    """Seconds until all processes of a side have taken their steps."""
    for process in processes:
        print("go", file=process.stdin, flush=True)
    answers = [process.stdout.readline() for process in processes if process.stdout]
    if not all(answers):
        said = [process.stderr.read()[-2000:] for process in processes if process.stderr and process.poll() is not None]
        raise RuntimeError(f"workers: a process ended before its time. It said: {said}.")
    return max(float(answer) for answer in answers)


def train(batch_size: int, steps: int) -> None:
    """One process: for every line it is sent, some steps; answers with the seconds they took."""
    from tfmtl.training import get_strategy

    strategy = get_strategy("multi_worker")

    import keras
    import tensorflow as tf

    from tfmtl.models import from_preset
    from tfmtl.schema import BinaryTask, CategoricalFeature, ModelInputs, Problem, Split

    names = [f"task{n}" for n in range(_TASKS)]
    problem = Problem(
        name="workers",
        features=tuple(CategoricalFeature(f"field{n}", dim=16) for n in range(_FIELDS)),
        tasks=tuple(BinaryTask(name) for name in names),
        split=Split(by="column", column="part"),
    )
    inputs = ModelInputs(problem, dict.fromkeys(problem.tables, _ROWS), dict.fromkeys(names, 0.3), {})
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = from_preset("mmoe", inputs)
        model.compile()
    generator = np.random.default_rng(0)
    features = {feature.name: generator.integers(1, _ROWS, batch_size).astype("int32") for feature in problem.features}
    labels = {name: generator.integers(0, 2, batch_size).astype("float32") for name in names}
    batches = tf.data.Dataset.from_tensors((features, labels)).repeat(steps)
    for _ in sys.stdin:
        started = time.perf_counter()
        model.fit(batches, verbose=0)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3 and all(argument.isdigit() for argument in sys.argv[1:]):
        train(*map(int, sys.argv[1:]))
    else:
        typer.run(main)
