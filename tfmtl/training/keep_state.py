"""Write checkpoints, so that a killed run loses only the steps since the last one."""

import csv
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import keras

from tfmtl.training.progress import Progress
from tfmtl.training.run_folder import RunFolder
from tfmtl.training.training_error import written
from tfmtl.training.training_state import restore_state, save_state

_SECONDS = 300.0  # between two checkpoints inside an epoch, where no number of steps is given
_SHARE = 0.05  # of the time, at most, that goes into these


class KeepState(keras.callbacks.Callback):
    """Writes checkpoints and `history.csv`, and goes on from the position that `progress` says.

    It has to be the last of the callbacks, and the batches those of `PreparedData.train_epochs` from that position.

    Args:
        folder: `RunFolder`.
        progress: `Progress`, brought up to date while the model is trained. Where it says that the run goes on, the
            folder holds the state.
        steps: int. Steps of an epoch.
        every: int or None. Steps between two checkpoints inside an epoch; `None` means every five minutes, or less
            often if that took more than 5 % of the time. At the end of an epoch there always is one.
        callbacks: all other callbacks; those with `get_state` and `set_state` (plain values) are kept too, under their
            class and number within the class, so that others may come or go before the run goes on.
        within_epochs: bool. Whether there may be checkpoints inside an epoch. Defaults to `True`.
        writes: bool. Whether to write checkpoints at all, beside `history.csv`. Defaults to `True`.
    """

    def __init__(
        self,
        folder: RunFolder,
        progress: Progress,
        steps: int,
        every: int | None,
        callbacks: Sequence[keras.callbacks.Callback],
        within_epochs: bool = True,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.progress = progress
        self._folder = folder
        self._steps = steps
        self._every = every
        self._within_epochs = within_epochs
        self._writes = writes
        self._parts = _by_class([part for part in callbacks if hasattr(part, "set_state")])
        # Older checkpoints hold positions among all callbacks.
        self._by_position = {str(n): part for n, part in enumerate(callbacks) if hasattr(part, "set_state")}
        self._resumes = bool(progress.epoch or progress.step)
        self._pause = _SECONDS
        self._before = progress.seconds

    def on_train_begin(self, logs: Any = None) -> None:
        self._started = self._saved = time.monotonic()
        readers = self._by_position | self._parts
        for name in readers.keys() & self.progress.callbacks.keys():
            readers[name].set_state(self.progress.callbacks[name])
        if self._resumes:
            self._write_history()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # Keras has just reset the running metrics. Half-way through an epoch they are part of the state; at its end the
        # file holds those of the validation.
        if self._resumes and self.progress.step:
            restore_state(self._folder.own.state, self.model)
        self._resumes = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.progress.step += 1
        if self.progress.step < self._steps and self._is_due():
            self._save()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            self.progress.history.setdefault(name, []).append(float(value))
        self.progress.epoch, self.progress.step = epoch + 1, 0
        self.progress.stopped = self.model.stop_training
        self._write_history()
        self._save()

    def _is_due(self) -> bool:
        if not self._within_epochs:
            return False
        if self._every is not None:
            return self.progress.step % self._every == 0
        return time.monotonic() - self._saved >= self._pause

    def _save(self) -> None:
        began = time.monotonic()
        self.progress.seconds = self._before + began - self._started
        if not self._writes:
            return
        self.progress.callbacks = {name: part.get_state() for name, part in self._parts.items()}
        self._folder.own.path.mkdir(exist_ok=True)
        save_state(self._folder.own.state, self.model, self.progress)
        self._folder.drop_other_runs()
        self._saved = time.monotonic()
        self._pause = max(_SECONDS, (self._saved - began) / _SHARE)

    def _write_history(self) -> None:
        history = self.progress.history
        with written(self._folder.history) as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *history])
            writer.writerows([epoch, *row] for epoch, row in enumerate(zip_longest(*history.values())))


def _by_class(callbacks: Sequence[Any]) -> dict[str, Any]:
    """`<class> <number within the class>` -> callback."""
    numbers: Counter[str] = Counter()
    found = {}
    for callback in callbacks:
        kind = type(callback).__name__
        found[f"{kind} {numbers[kind]}"] = callback
        numbers[kind] += 1
    return found
