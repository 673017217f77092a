"""Check the times of a request against the last training time in the export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.folders import ExportedVersion

# From seconds to milliseconds it is a thousand; years later or earlier are a fraction of that.
_FACTOR = 100
WRONG_UNIT, FUTURE_EVENT = "wrong_unit", "event_after_request"
_NEVER = np.iinfo(np.int64).min

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RequestTimes:
    """The time inputs of a model.

    Args:
        time: str. The input that says when a request is made.
        events: tuple of str. The inputs that say when the events of a sequence happened, `(B, L)`.
        last: int. The last time in training.
    """

    time: str
    events: tuple[str, ...]
    last: int

    @classmethod
    def load(cls, directory: Path) -> "RequestTimes | None":
        """That of an export, as `tfmtl export` writes it; None where there is none."""
        path = ExportedVersion(directory).times
        if not path.is_file():
            return None
        facts = json.loads(path.read_text(encoding="utf-8"))
        return cls(facts["time"], tuple(facts["events"]), facts["last"])

    def read(self, inputs: Arrays) -> Arrays:
        """The inputs by name: those of serialized examples are read, of their events the latest one, `(B, 1)`.

        Serialized examples are the one input of their signature, strings `(B,)`. What is none, or lacks the time, has
        no times: it is for the model to refuse it.
        """
        array = next(iter(inputs.values()), None)
        if self.time in inputs or len(inputs) != 1 or array is None or array.ndim != 1 or array.dtype.kind not in "OS":
            return inputs
        try:
            serialized = tf.constant(array, tf.string)
            _, _, _, dense, events, splits = tf.raw_ops.ParseExampleV2(serialized=serialized, **self._asked)
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the message quotes the bytes
            return {}
        latest = {}
        for name, values, ends in zip(self.events, events, splits, strict=True):
            latest[name] = np.full((len(array), 1), _NEVER)
            np.maximum.at(latest[name][:, 0], np.repeat(np.arange(len(array)), np.diff(ends.numpy())), values.numpy())
        return {self.time: dense[0].numpy(), **latest}

    @cached_property
    def _asked(self) -> dict[str, Any]:
        """Further arguments of the op. Made once: making them takes ten times as long as parsing an example."""
        none = tf.constant([], tf.string)
        num_events = len(self.events)
        return {
            "names": none,
            "sparse_keys": none,
            "dense_keys": tf.constant([self.time]),
            "ragged_keys": tf.constant(self.events, tf.string),
            "dense_defaults": [tf.constant([], tf.int64)],  # none: it must be there
            "num_sparse": 0,
            "sparse_types": [],
            "ragged_value_types": [tf.int64] * num_events,
            "ragged_split_types": [tf.int64] * num_events,
            "dense_shapes": [()],
        }

    def odd_rows(self, inputs: Arrays) -> dict[str, npt.NDArray[np.bool_]]:
        """What is odd -> for each row whether it is, `(B,)`; what is odd nowhere is left out.

        `WRONG_UNIT`: the request's time is a hundred times training's last, or a hundredth of it. `FUTURE_EVENT`: an
        event is later than the request.

        Args:
            inputs: input name -> array, as the signature has them, see `read`. Without the time nothing is odd.
        """
        inputs = self.read(inputs)
        times = inputs.get(self.time)
        if times is None or times.ndim != 1:
            return {}
        is_late = np.zeros(times.shape, bool)
        for name in self.events:
            events = inputs.get(name)
            if events is not None and events.ndim == 2 and events.shape[1]:
                is_late |= events.max(axis=1) > times
        is_other = np.zeros(times.shape, bool)
        if self.last > 0:
            is_other = (times > _FACTOR * self.last) | (times < self.last // _FACTOR)
        return {what: rows for what, rows in ((WRONG_UNIT, is_other), (FUTURE_EVENT, is_late)) if rows.any()}
