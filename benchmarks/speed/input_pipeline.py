"""How much faster the TFRecords are read than a model trains from them.

    python -m benchmarks.speed.input_pipeline demo/data --preset dtrn

Rounds alternate: one pass over the training split only reading, one of training steps. Prints the median examples/s of
both and their ratio; below the ratio asked for, the exit status is 1.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Annotated

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
        started = time.perf_counter()
        for _batch in prepared.train(batch_size):
            pass
        reading.append(examples / (time.perf_counter() - started))
        started = time.perf_counter()
        for batch in batches:
            train(iter([batch]))
        training.append(len(batches) * batch_size / (time.perf_counter() - started))
    ratio = statistics.median(reading) / statistics.median(training)
    print(f"reading  {statistics.median(reading):10,.0f} examples/s")
    print(f"training {statistics.median(training):10,.0f} examples/s ({preset}, batch {batch_size})")
    print(f"reading is {ratio:.1f} times as fast")
    sys.exit(ratio < at_least)


if __name__ == "__main__":
    typer.run(main)
