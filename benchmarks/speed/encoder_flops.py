"""The products that a training step of MMoE and of DTRN asks for, with padding and without, and their least time.

    python -m benchmarks.speed.encoder_flops <prepared data>...

Counts multiplications and additions of matrix products, forward and backward, on the first six batches, and measures
in the same process what one thread makes of a plain product of (1024, 1024) matrices.
"""

import time
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_EXPERTS, _FIRST, _SECOND, _TOWER = 4, 128, 64, 64  # the presets' defaults
_GROUPS = 4  # of sequences by length, as `PackedRows` cuts them


def main(
    folders: Annotated[list[Path], typer.Argument(help="Prepared data.")],
    batch_size: int = 512,
) -> None:
    """Prints one row for each folder."""
    start_tensorflow()
    import tensorflow as tf

    from tfmtl.data import PreparedData
    from tfmtl.models import from_preset

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rate = _plain_rate()
    print(f"A plain product reaches {rate / 1e9:.0f} GFLOP in a second of processor time.\n")
    print("| data | filled | MMoE | DTRN padded | DTRN on rows | MMoE's products | DTRN's |\n|---" + "|---:" * 6 + "|")
    for folder in folders:
        data = PreparedData(folder)
        embedding = from_preset("mmoe", data.inputs).embedding
        dim, tasks = embedding.plan.dim, len(data.problem.tasks)
        behaviors, length = len(embedding.plan.sequences), embedding.plan.longest_sequence
        counts = []
        for features, *_ in islice(data.train(batch_size), 6):
            mask = embedding(features)["event_mask"]
            counts.append(np.sum(mask, axis=2).ravel())
        events = np.concatenate(counts)
        width = (len(embedding.field_names) + behaviors) * dim
        mmoe = _mixture(batch_size, width, 1, tasks)
        dtrn = _mixture(batch_size, width, tasks, tasks)
        padded = dtrn + _encoder(np.full(len(events), length), length, dim, tasks) / len(counts)
        packed = dtrn + _encoder(events, length, dim, tasks) / len(counts)
        cells = [f"{each / 1e9:.2f} GFLOP" for each in (mmoe, padded, packed)]
        cells += [f"{1e3 * each / rate:.1f} ms" for each in (mmoe, packed)]
        print(f"| {folder} | {events.mean() / length:.2f} | {' | '.join(cells)} |", flush=True)


def _mixture(batch: int, width: int, streams: int, tasks: int) -> float:
    """Experts on `streams` inputs, gates, mixing and towers: three times the forward pass."""
    experts = streams * _EXPERTS * (width * _FIRST + _FIRST * _SECOND)
    rest = tasks * (width * _EXPERTS + _EXPERTS * _SECOND + _SECOND * _TOWER + _TOWER)
    return 6.0 * batch * (experts + rest)


def _encoder(counts: np.ndarray, length: int, dim: int, tasks: int) -> float:
    """One layer of DTRN's Transformer on sequences of so many events; attention on the group's longest."""
    hidden = 4 * dim
    an_event = 3 * dim * dim + dim * dim + tasks * (2 * dim * hidden + dim * dim)
    limits = np.array(sorted({-(-length * step // _GROUPS) for step in range(1, _GROUPS + 1)}))
    slots = limits[np.searchsorted(limits, counts[counts > 0])].astype(float)
    return float(6.0 * counts.sum() * an_event + 6 * 2.0 * dim * np.sum(slots**2))  # six products of (l, l) matrices


def _plain_rate() -> float:
    import tensorflow as tf

    one = tf.random.normal((1024, 1024))
    tf.matmul(one, one)
    started, rounds = time.process_time(), 20
    for _ in range(rounds):
        tf.matmul(one, one)
    return rounds * 2.0 * 1024**3 / (time.process_time() - started)


if __name__ == "__main__":
    typer.run(main)
