"""Training for a bounded number of steps, by the package's own `fit`, and what a step took; validation is bounded, too.

python -m benchmarks.scale.train_side <data folder> <run folder> <steps>
"""

import json
import sys
import time
from typing import Any

import keras
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions, fit

BATCH = 1024
_WARM_UP = 20
_VALID_BATCHES = 10


class Bounded(PreparedData):
    """Data of whose validation split only the beginning is read."""

    def valid(self, batch_size: int) -> tf.data.Dataset:
        return super().valid(batch_size).take(_VALID_BATCHES)


class Measured(keras.callbacks.Callback):
    """Ends training after some steps; keeps what a step took, the first ones left out."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps
        self._marks: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._marks.append((time.perf_counter(), time.process_time()))
        if len(self._marks) >= self._steps:
            self.model.stop_training = True

    def facts(self) -> dict[str, float]:
        (wall, cpu), (wall_end, cpu_end) = self._marks[_WARM_UP], self._marks[-1]
        steps = len(self._marks) - 1 - _WARM_UP
        return {
            "steps": len(self._marks),
            "examples_per_second": round(steps * BATCH / (wall_end - wall)),
            "examples_per_processor_second": round(steps * BATCH / (cpu_end - cpu)),
            "processor_ms_a_step": round(1e3 * (cpu_end - cpu) / steps, 2),
        }


def main(folder: str, run: str, steps: int) -> None:
    """Trains, and prints the facts as the last line."""
    data = Bounded(folder)
    measured = Measured(steps)
    options = TrainOptions(preset="mmoe", epochs=1, batch_size=BATCH)
    fit(data, run, options, callbacks=[measured], verbose=2, fresh=True)
    table_rows = sum(data.inputs.table_rows.values())
    print(json.dumps({**measured.facts(), "table_rows": table_rows}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
