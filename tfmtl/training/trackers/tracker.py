"""What all trackers do: begin a run or go on with it, and tell the metrics of every epoch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

_ID, _TRACKER = "id", "tracker"


@dataclass(frozen=True)
class RunFacts:
    """What a tracker is told of a run when it begins.

    Args:
        project: str. What its runs are kept under: the problem's name.
        name: str. The run's: its folder.
        settings: option -> value; of the preset's as `set.<option>`.
        tags: further facts as text, such as the data's digest.
    """

    project: str
    name: str
    settings: Mapping[str, Any]
    tags: Mapping[str, str]


class Tracker(keras.callbacks.Callback, ABC):
    """A callback that tells a tracker of the run. A run that was killed goes on under its old number.

    Args:
        facts: `RunFacts`.
    """

    def __init__(self, facts: RunFacts) -> None:
        super().__init__()
        self.facts = facts
        self.run_id: str | None = None
        self._has_begun = False

    def get_state(self) -> dict[str, Any]:
        """What a later process needs to go on."""
        return {_TRACKER: type(self).__name__, _ID: self.run_id}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on with the run of an earlier process."""
        if state.get(_TRACKER) == type(self).__name__:  # else another one was asked for before
            self.run_id = state[_ID]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        # Not when training begins: only then is it known whether the run goes on with another one.
        if not self._has_begun:
            self.run_id, self._has_begun = self.begin(self.run_id), True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.tell({name: float(value) for name, value in (logs or {}).items()}, epoch)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._has_begun:
            self.end()

    @abstractmethod
    def begin(self, run_id: str | None) -> str:
        """Begins a run, or goes on with that of the number, and returns its number."""

    @abstractmethod
    def tell(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Tells the metrics of an epoch, counted from 0."""

    @abstractmethod
    def end(self) -> None:
        """Ends the run."""
