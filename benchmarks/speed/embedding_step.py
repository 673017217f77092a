"""Time and memory of a training step as the embedding table grows, of each optimizer and of Keras's Adam.

    python -m benchmarks.speed.embedding_step

Mean of 20 embedded ids per example, one dense layer, made-up ids and labels; with `--hidden 256,128,64` the embeddings
side by side and dense layers as a ranking network has them. "no update" is the floor: forward and backward pass
without an optimizer, whose misses no optimizer can avoid. Prints milliseconds per step (median over
rounds in which the table sizes alternate, so that a slow spell meets all), its ratio to the smallest table, the same
ratio of processor time, which other work on the machine disturbs less, and by how much memory peaks above its level
between steps. Every step draws its ids from `pool` rows chosen anew from the whole
table: tables of all sizes then have equally many rows touched, and large ones the cache misses of rows far apart.
Most of these are misses of the page table, which `--huge-pages` spares.

No log is so even: that is the worst case. `--skew 1.05` draws an id with a probability that falls with this power of
its rank, as in a log whose vocabulary is sorted by frequency, which `preprocess` does. Frequent rows then stay in the
caches, but a larger table has more distinct rows per step; how many, is printed first.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_FLOOR = "no update"
OPTIMIZERS = (_FLOOR, "SGD", "Adagrad", "RowWiseAdagrad", "LazyAdam", "Ftrl", "Split", "keras.Adam")
_BATCH, _IDS, _DIM = 1024, 20, 16


def main(
    optimizers: Annotated[str, typer.Option(help="Some of the default, divided by commas.")] = ",".join(OPTIMIZERS),
    rows: str = "10000,1000000,5000000",
    pool: Annotated[int, typer.Option(help="Rows a step draws its ids from; 0 for all rows.")] = 10_000,
    rounds: int = 15,
    steps: Annotated[int, typer.Option(help="Steps a round.")] = 4,
    skew: Annotated[float, typer.Option(help="Zipf exponent of the ids, over all rows; 0 draws from the pool.")] = 0.0,
    hidden: Annotated[str, typer.Option(help="Widths of dense layers, by commas; a mean and none if left out.")] = "",
    huge_pages: Annotated[bool, typer.Option(help="Large tensors on pages of 2 MB (glibc 2.35 or later).")] = False,
) -> None:
    """Prints one row an optimizer; every optimizer runs in a process of its own."""
    sizes = [int(size) for size in rows.split(",")]
    generator = np.random.default_rng(0)
    distinct = [len(np.unique(_Ids(size, pool, skew)(generator))) for size in sizes]
    print(f"Distinct rows per step: {', '.join(f'{count:,}' for count in distinct)}.\n")
    widths = [int(width) for width in hidden.split(",") if width]
    columns = [f"{size:,} rows" for size in sizes]
    print(f"| optimizer | {' | '.join(columns)} | peak above level |\n" + "|---" * (len(sizes) + 2) + "|", flush=True)
    for name in optimizers.split(","):
        command = (sys.executable, "-m", "benchmarks.speed.embedding_step", name)
        numbers = [json.dumps(value) for value in (sizes, pool, skew, rounds, steps, widths)]
        tunables = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if huge_pages else {}
        environment = {**os.environ, **tunables}
        run = subprocess.run([*command, *numbers], check=True, stdout=subprocess.PIPE, text=True, env=environment)
        found = json.loads(run.stdout.splitlines()[-1])
        cells = [
            f"{1e3 * wall:.1f} ms ({wall / found['wall'][0]:.2f}x, CPU {cpu / found['cpu'][0]:.2f}x)"
            for wall, cpu in zip(found["wall"], found["cpu"], strict=True)
        ]
        peaks = ", ".join(f"{value:.0f}" for value in found["megabytes"])
        print(f"| {name} | {' | '.join(cells)} | {peaks} MB |", flush=True)


def measure(
    name: str, sizes: list[int], pool: int, skew: float, rounds: int, steps: int, widths: list[int]
) -> dict[str, list[float]]:
    """Median seconds of a step on the clock and of processors, and the largest peak of megabytes, for every size."""
    start_tensorflow()
    runs = [(_stepper(name, size, widths), _Ids(size, pool, skew)) for size in sizes]
    generator = np.random.default_rng(0)
    wall: list[list[float]] = [[] for _ in runs]
    cpu: list[list[float]] = [[] for _ in runs]
    peaks: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for index, (run, ids) in enumerate(runs):
            batches = [ids(generator) for _ in range(steps)]
            run(batches[0])  # the others have emptied the caches
            _reset_peak()
            level = _memory("VmRSS")
            started = time.perf_counter(), time.process_time()
            for batch in batches:
                run(batch)
            if number:  # the first round reaches pages for the first time
                wall[index].append((time.perf_counter() - started[0]) / steps)
                cpu[index].append((time.process_time() - started[1]) / steps)
                peaks[index].append((_memory("VmHWM") - level) / 1e3)
    medians = {"wall": wall, "cpu": cpu}
    result = {key: [statistics.median(own) for own in values] for key, values in medians.items()}
    return result | {"megabytes": [max(own) for own in peaks]}


class _Ids:
    """Draws the ids of a batch, `(batch, ids)`."""

    def __init__(self, size: int, pool: int, skew: float) -> None:
        self._size, self._pool = size, pool
        self._up_to = None
        if skew:
            shares = np.arange(1, size + 1) ** -skew
            self._up_to = np.cumsum(shares / np.sum(shares))

    def __call__(self, generator: np.random.Generator) -> np.ndarray:
        size, pool, shape = self._size, self._pool, (_BATCH, _IDS)
        if self._up_to is not None:
            drawn = np.minimum(np.searchsorted(self._up_to, generator.random(shape)), size - 1)
        elif 0 < pool < size:
            drawn = generator.choice(generator.integers(0, size, pool), shape)
        else:
            drawn = generator.integers(0, size, shape)
        return drawn.astype("int32")


def _stepper(name: str, rows: int, widths: Sequence[int]) -> Callable[[np.ndarray], object]:
    """A function that makes one training step on the given ids."""
    import keras
    import tensorflow as tf

    from tfmtl import optimizers

    inputs = keras.Input((_IDS,), dtype="int32")
    embedded = keras.layers.Embedding(rows, _DIM)(inputs)
    above = keras.layers.Flatten()(embedded) if widths else keras.layers.GlobalAveragePooling1D()(embedded)
    for width in widths:
        above = keras.layers.Dense(width, activation="relu")(above)
    model = keras.Model(inputs, keras.layers.Dense(1)(above))
    optimizer = None
    if name == _FLOOR:
        pass
    elif name == "keras.Adam":
        optimizer = keras.optimizers.Adam()
    elif name == "Split":
        optimizer = optimizers.Split(optimizers.LazyAdam(), keras.optimizers.Adam())
    else:
        optimizer = getattr(optimizers, name)()
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
    labels = tf.random.stateless_uniform((_BATCH, 1), (0, 0))

    @tf.function(input_signature=[tf.TensorSpec((_BATCH, _IDS), tf.int32)])
    def step(ids: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(ids, training=True) - labels))
        gradients = tape.gradient(loss, model.trainable_variables)
        if optimizer is None:  # what is returned is computed
            return [getattr(gradient, "values", gradient) for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return []

    typed: Callable[[np.ndarray], object] = step
    return typed


def _memory(field: str) -> int:
    """Kilobytes of this process that the system reports under a name."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def _reset_peak() -> None:
    """Makes `VmHWM` start again from the memory now in use."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


if __name__ == "__main__":
    if len(sys.argv) == 8 and sys.argv[1] in OPTIMIZERS:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        print(json.dumps(measure(sys.argv[1], *(json.loads(value) for value in sys.argv[2:]))))
    else:
        typer.run(main)
