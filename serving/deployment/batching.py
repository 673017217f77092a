"""Choose TF Serving's batching parameters from measured batch times."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfmtl.folders import ExportedVersion
from tfmtl.serving.protocol.tensor_proto import tensor_to_array
from tfmtl.serving.server.served_model import ServedModel

BATCHED_SIGNATURE = "serve_examples"
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_CALLS = 7
_WARM_UP_CALLS = 2


@dataclass(frozen=True)
class Batching:
    """TF Serving's `BatchingParameters`.

    Args:
        max_batch_size: int. Rows of a batch at most.
        timeout_micros: int. Microseconds that a batch waits for more rows.
        max_enqueued_batches: int. Largest number of waiting batches; further requests are refused at once.
        num_batch_threads: int. Number of batches computed at the same time.
    """

    max_batch_size: int
    timeout_micros: int
    max_enqueued_batches: int
    num_batch_threads: int

    @property
    def allowed_batch_sizes(self) -> tuple[int, ...]:
        """Batches are filled up to one of these sizes."""
        return tuple(size for size in _SIZES if size <= self.max_batch_size)

    def text(self) -> str:
        """The text of a `--batching_parameters_file`."""
        lines = [
            f"max_batch_size {{ value: {self.max_batch_size} }}",
            f"batch_timeout_micros {{ value: {self.timeout_micros} }}",
            f"max_enqueued_batches {{ value: {self.max_enqueued_batches} }}",
            f"num_batch_threads {{ value: {self.num_batch_threads} }}",
            *[f"allowed_batch_sizes: {size}" for size in self.allowed_batch_sizes],
        ]
        return "".join(f"{line}\n" for line in lines)


def choose_batching(milliseconds: Mapping[int, float], budget: float, num_cpus: int) -> Batching:
    """Batching under which a request that is not refused is answered in about `budget` milliseconds.

    A third of the budget each for the batch's own time, for waiting until it is full and for what was there before
    it. Batches grow as long as they take their third; they wait as long as one row takes, since a request alone would
    be done by then; as many of them wait as the threads compute in a third of the budget.

    Args:
        milliseconds: of a batch, by its size; as `measure_batches` returns it.
        budget: float. Milliseconds from a request's arrival to its answer.
        num_cpus: int. Cores of the server.

    Raises:
        ValueError: not even one row takes a third of the budget.
    """
    third = budget / 3.0
    alone = milliseconds[1]
    if alone > third:
        raise ValueError(
            f"choose_batching: `budget` must be at least three times what one row takes, {alone:.1f} ms. "
            f"Received: budget={budget}. Allow more time."
        )
    sizes = [size for size, time_ in sorted(milliseconds.items()) if time_ <= third]
    largest = sizes[-1]
    return Batching(
        max_batch_size=largest,
        timeout_micros=int(1000.0 * min(alone, third)),
        max_enqueued_batches=num_cpus * max(1, int(third / milliseconds[largest])),
        num_batch_threads=num_cpus,
    )


def measure_batches(version: Path) -> dict[int, float]:
    """Median milliseconds of a call of `serve_examples`, by its number of rows, on this machine.

    The rows are the real examples of the export's warm-up requests.

    Args:
        version: an export, `<directory>/<version>`.

    Raises:
        FileNotFoundError: it has no warm-up requests of that signature.
    """
    rows = _examples(version)
    model = ServedModel(version, int(version.name))
    found = {}
    for size in _SIZES:
        batch = {"examples": np.resize(rows, size)}
        times = []
        for _ in range(_WARM_UP_CALLS + _CALLS):
            started = time.perf_counter()
            model.predict(BATCHED_SIGNATURE, batch)
            times.append(1000.0 * (time.perf_counter() - started))
        found[size] = statistics.median(times[_WARM_UP_CALLS:])
    return found


def _examples(version: Path) -> npt.NDArray[Any]:
    """The most examples that one warm-up request holds."""
    path = ExportedVersion(version).warmup
    columns: list[npt.NDArray[Any]] = []
    if path.is_file():
        for record in tf.data.TFRecordDataset(str(path)):
            request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            if request.model_spec.signature_name == BATCHED_SIGNATURE:
                columns.append(tensor_to_array(request.inputs["examples"]))
    if not columns:
        raise FileNotFoundError(f"'{path}' holds no request of {BATCHED_SIGNATURE}. Export the model again.")
    return max(columns, key=len)
