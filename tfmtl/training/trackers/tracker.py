"""What all trackers do: begin a run or go on with it, and tell the metrics of every epoch."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tfmtl.training.training_error import written

_ID, _TOLD = "id", "told"


@dataclass(frozen=True)
class RunFacts:
    """What a tracker is told of a run when it begins.

    Args:
        project: str. What its runs are kept under: the problem's name.
        name: str. The run's: its folder.
        settings: option -> value; of the preset's as `set.<option>`.
        tags: further facts as text, such as the data's digest.
        memory: Path. A file that is there while the run is under way: its number, and the last epoch that was told.
    """

    project: str
    name: str
    settings: Mapping[str, Any]
    tags: Mapping[str, str]
    memory: Path


class Tracker(keras.callbacks.Callback, ABC):
    """A callback that tells a tracker of the run. A run that was killed goes on under its old number.

    Its number is kept from the first step on, apart from the checkpoints: a run that is killed before the first one is
    still the same run. An epoch that was told and then had to be trained again, since the kill came before its
    checkpoint, has the same metrics, and is not told again.

    Args:
        facts: `RunFacts`.
    """

    def __init__(self, facts: RunFacts) -> None:
        super().__init__()
        self.facts = facts
        self.run_id: str | None = None
        self.told = -1
        self._has_begun = False
        if facts.memory.is_file():  # now, since `fit` may begin by emptying its folder
            kept = json.loads(facts.memory.read_text())
            self.run_id, self.told = kept[_ID], kept[_TOLD]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self._has_begun:
            self.run_id, self._has_begun = self.begin(self.run_id), True
            self._remember()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if epoch > self.told:
            self.tell({name: float(value) for name, value in (logs or {}).items()}, epoch)
            self.told = epoch
            self._remember()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._has_begun:
            self.end()

    def _remember(self) -> None:
        self.facts.memory.parent.mkdir(parents=True, exist_ok=True)
        with written(self.facts.memory) as partial:
            partial.write_text(json.dumps({_ID: self.run_id, _TOLD: self.told}))

    @abstractmethod
    def begin(self, run_id: str | None) -> str:
        """Begins a run, or goes on with that of the number, and returns its number.

        Where the store can say it, `told` becomes the last epoch that it has.
        """

    @abstractmethod
    def tell(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Tells the metrics of an epoch, counted from 0."""

    @abstractmethod
    def end(self) -> None:
        """Ends the run."""
