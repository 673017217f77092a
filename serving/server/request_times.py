"""Check the times of a request against the last training time in the export."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmtl.folders import ExportedVersion

# From seconds to milliseconds it is a thousand; years later or earlier are a fraction of that.
_FACTOR = 100
WRONG_UNIT, FUTURE_EVENT = "wrong_unit", "event_after_request"


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

    def odd_rows(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.bool_]]:
        """What is odd -> for each row whether it is, `(B,)`; what is odd nowhere is left out.

        `WRONG_UNIT`: the request's time is a hundred times training's last, or a hundredth of it. `FUTURE_EVENT`: an
        event is later than the request.

        Args:
            inputs: input name -> array, as the signature has them. Without the time input nothing is odd.
        """
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
