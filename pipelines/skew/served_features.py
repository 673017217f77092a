"""The features of logged requests, encoded and counted as those of training are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.data import RawTransform
from tfmtl.data.example_spec import parse_raw_examples, raw_signature
from tfmtl.data.feature_counts import FeatureCounts
from tfmtl.export.serving_module import SERVE_EXAMPLES
from tfmtl.pipelines.skew.logged_requests import LoggedRequest
from tfmtl.schema import ModelInputs
from tfmtl.serving.server.batch_rows import merge_rows

Arrays = dict[str, npt.NDArray[Any]]

_BATCH = 4096


class ServedFeatures:
    """Collects raw requests and encodes many at once.

    Args:
        inputs: `ModelInputs`.
        transform: `RawTransform`, that of the model.

    Attributes:
        counts: `FeatureCounts` of what was encoded; complete after `flush`.
        rows: int. Scored rows so far.
    """

    def __init__(self, inputs: ModelInputs, transform: RawTransform) -> None:
        self.counts = FeatureCounts(inputs)
        self.rows = 0
        self._problem = inputs.problem
        self._transform = transform
        self._signature = raw_signature(inputs.problem)
        self._waiting: list[Arrays] = []
        self._waiting_rows = 0

    def raw(self, request: LoggedRequest) -> Arrays | None:
        """The raw features of a request, as it gave them; None if they are not this model's."""
        inputs: Mapping[str, Any] = request.inputs
        if request.signature == SERVE_EXAMPLES and set(inputs) == {"examples"}:
            parsed = parse_raw_examples(self._problem, tf.constant(inputs["examples"], tf.string))
            inputs = {name: value.numpy() for name, value in parsed.items()}
        if set(inputs) != set(self._signature):
            return None
        if any(inputs[name].ndim != spec.shape.rank for name, spec in self._signature.items()):
            return None
        return dict(inputs)

    def add(self, raw: Arrays) -> int:
        """Takes raw features; one row of a user's for several candidates counts once. Returns the rows scored."""
        rows = max(len(array) for array in raw.values())
        self._waiting.append(raw)
        self._waiting_rows += rows
        self.rows += rows
        if self._waiting_rows >= _BATCH:
            self.flush()
        return rows

    def flush(self) -> None:
        """Encodes and counts what waits."""
        if self._waiting:
            self.counts.add(self.encode(self._waiting))
            self._waiting, self._waiting_rows = [], 0

    def encode(self, requests: list[Arrays]) -> Arrays:
        """What the model reads of these requests, one after the other in one batch."""
        rows = merge_rows(requests)
        joined = {name: tf.constant(rows[name], spec.dtype) for name, spec in self._signature.items()}
        return {name: value.numpy() for name, value in self._transform(joined).items()}


def repeat_user(raw: Arrays) -> Arrays:
    """The features with a row for each candidate, also those that a request to rank gives once."""
    rows = max(len(array) for array in raw.values())
    return {name: np.repeat(array, rows, axis=0) if len(array) < rows else array for name, array in raw.items()}
