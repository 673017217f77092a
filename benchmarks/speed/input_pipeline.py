"""How much faster the TFRecords are read than a model trains from them.

    python -m benchmarks.speed.input_pipeline demo/data --preset dtrn

Rounds alternate: one pass over the training split only reading, one of training steps. Prints the median examples/s of
both and their ratio, and what processor time an example takes in each, of all threads, which other work on the machine
disturbs less; below the ratio asked for, the exit status is 1.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tfmtl.pipelines.cli.quiet_start import start_tensorflow


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    preset: str = "dtrn",
    batch_size: int = 512,
    rounds: int = 5,
    at_least: float = 5.0,
) -> None:
    """Measures reading against training."""
    start_tensorflow()
    from tfmtl.data import PreparedData
    from tfmtl.models import from_preset

    prepared = PreparedData(data)
    model = from_preset(preset, prepared.inputs)
    model.compile()
    examples = prepared.num_examples("train")
    batches = list(prepared.train(batch_size).take(max(1, 8192 // batch_size)))
    model.make_train_function()
    train = model.train_function
    for batch in batches[:2]:
        train(iter([batch]))
    reading, training = [], []
    for _ in range(rounds):
        started = _clocks()
        for _batch in prepared.train(batch_size):
            pass
        reading.append((_clocks() - started) / examples)
        started = _clocks()
        for batch in batches:
            train(iter([batch]))
        training.append((_clocks() - started) / (len(batches) * batch_size))
    read, trained = (np.median(some, axis=0) for some in (reading, training))
    ratio = trained[0] / read[0]
    print(f"reading  {1 / read[0]:10,.0f} examples/s, {1e6 * read[1]:.1f} us of processor time each")
    print(
        f"training {1 / trained[0]:10,.0f} examples/s, {1e6 * trained[1]:.1f} us of processor time each "
        f"({preset}, batch {batch_size})"
    )
    print(f"reading is {ratio:.1f} times as fast, and {100 * read[1] / (read[1] + trained[1]):.0f} % of both together")
    sys.exit(int(ratio < at_least))


def _clocks() -> np.ndarray:
    """Seconds that passed and seconds of processor time."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    typer.run(main)
