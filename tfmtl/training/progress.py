"""The progress of a training run."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Progress:
    """The state of a run that is not a variable of its model.

    Args:
        epoch: int. The epoch to go on with, counted from 0. Defaults to `0`.
        step: int. Steps of it that are done. Defaults to `0`.
        seconds: float. Time spent training. Defaults to `0.0`.
        stopped: bool. Whether a callback has ended the run. Defaults to `False`.
        history: metric -> its value after every epoch that is done. Defaults to none.
        callbacks: `<class> <number within the class>` of a callback -> what its `get_state` returned; in older files
            its position among all callbacks. Defaults to none.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    stopped: bool = False
    history: dict[str, list[float]] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text that `from_json` reads; floats keep every bit."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Progress":
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))
