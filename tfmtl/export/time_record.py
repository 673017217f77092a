"""The last training time of an export, for checking the times of requests."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from tfmtl.data import PreparedData

_DAY = 86_400


@dataclass(frozen=True)
class TimeRecord:
    """The time inputs of a request, and the last time in training.

    Args:
        time: str. The input that says when a request is made.
        events: tuple of str. The inputs that say when the events of a sequence happened.
        last: int. The last time of a training example, in the log's unit, exact to a day. If the log's times do not
            count from 1970, it is the last time among the real requests in the data folder.
    """

    time: str
    events: tuple[str, ...]
    last: int

    @classmethod
    def of(cls, data: PreparedData) -> "TimeRecord | None":
        """That of a data folder; None if requests carry no time."""
        problem = data.problem
        if not problem.needs_time:
            return None
        time = str(problem.keys.time)
        days = data.manifest["splits"]["train"].get("days") or {}
        if days:
            end = (date.fromisoformat(max(days)) - date(1970, 1, 1)).days + 1
            last = int(end * _DAY * problem.keys.ticks_per_second)
        else:
            last = max((int(request["features"][time]) for request in data.requests()), default=0)
        events = tuple(sequence.time_key for sequence in problem.sequences if sequence.needs_times(problem))
        return cls(time, events, last)

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(asdict(self)) + "\n")
