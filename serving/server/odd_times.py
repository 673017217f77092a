"""Count or refuse requests with implausible times."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.server.request_times import FUTURE_EVENT, WRONG_UNIT
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.server_metrics import ServerMetrics

logger = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

_TEXTS = {
    WRONG_UNIT: "must be in the log's unit: it is over 100 times the last training time, or below 1/100",
    FUTURE_EVENT: "must not be before an event of the request",
}


class OddTimes:
    """Counts rows by model, in the metrics and, at every doubling, in the log; see `RequestTimes`.

    Args:
        metrics: ServerMetrics. Told of the rows.
        refuses: bool. Whether such requests are refused. Defaults to `False`.
    """

    def __init__(self, metrics: ServerMetrics, refuses: bool = False) -> None:
        self.refuses = refuses
        self._metrics = metrics
        self._lock = threading.Lock()
        self._rows: Counter[tuple[str, str]] = Counter()

    def note(self, model: ServedModel, inputs: Arrays) -> None:
        """Counts the rows with implausible times of a request before it is computed."""
        if model.times is None:
            return
        for what, rows in model.times.odd_rows(inputs).items():
            self._count(model, what, int(np.count_nonzero(rows)))

    def check(self, model: ServedModel, inputs: Arrays) -> None:
        """Raises `FeatureError` for a request with an odd row, if such are refused."""
        if not self.refuses or model.times is None:
            return
        inputs = model.times.read(inputs)
        for what, rows in model.times.odd_rows(inputs).items():
            self._count(model, what, int(np.count_nonzero(rows)))
            row, name = int(np.flatnonzero(rows)[0]), model.times.time
            raise FeatureError(
                f"row {row}: feature {name!r} {_TEXTS[what]}. Received: {inputs[name][row]}; last training time: "
                f"{model.times.last} (the server's --refuse-odd-times).",
                name,
                row,
            )

    def _count(self, model: ServedModel, what: str, rows: int) -> None:
        self._metrics.observe_odd_times(model.name, what, rows)
        with self._lock:
            before = self._rows[model.name, what]
            total = self._rows[model.name, what] = before + rows
        if before.bit_length() < total.bit_length():
            name = model.times.time if model.times is not None else ""
            logger.warning("Model %r: %d rows so far whose %r %s.", model.name, total, name, _TEXTS[what])
