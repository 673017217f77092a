"""Callbacks find their own state again when a run goes on."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from tfmtl.training import keep_state
from tfmtl.training.keep_best import KeepBest
from tfmtl.training.keep_state import KeepState
from tfmtl.training.progress import Progress


class Counting(keras.callbacks.Callback):
    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.count = count

    def get_state(self) -> dict[str, int]:
        return {"count": self.count}

    def set_state(self, state: dict[str, int]) -> None:
        self.count = state["count"]


class Tracking(Counting):
    pass


def keep_best(tmp_path: Path) -> KeepBest:
    return KeepBest(tmp_path / "best.keras", "val_loss", "min", 3)


def saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, callbacks: Sequence[Any]) -> dict[str, Any]:
    """What a checkpoint holds of the callbacks."""
    monkeypatch.setattr(keep_state, "save_state", lambda *_: None)
    own = SimpleNamespace(path=tmp_path, state=tmp_path / "state")
    progress = Progress()
    keep = KeepState(SimpleNamespace(own=own, drop_other_runs=lambda: None), progress, 2, 1, callbacks)
    keep.on_train_begin()
    keep.on_train_batch_end(0)
    return progress.callbacks


def resume(callbacks: Sequence[Any], states: dict[str, Any]) -> None:
    KeepState(None, Progress(callbacks=states), 2, 1, callbacks).on_train_begin()


def test_what_comes_between_moves_no_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    best = keep_best(tmp_path)
    best.set_state({"best": 0.5, "waited": 2})
    states = saved(monkeypatch, tmp_path, [keras.callbacks.Callback(), best, Counting(7), Counting(8)])
    assert set(states) == {"KeepBest 0", "Counting 0", "Counting 1"}
    again, tracker, first, second = keep_best(tmp_path), Tracking(), Counting(), Counting()
    resume([tracker, again, keras.callbacks.Callback(), first, second], states)
    assert again.get_state() == {"best": 0.5, "waited": 2}
    assert (tracker.count, first.count, second.count) == (0, 7, 8)


def test_positions_of_older_checkpoints_are_read(tmp_path: Path) -> None:
    best, counting = keep_best(tmp_path), Counting()
    resume([keras.callbacks.Callback(), best, counting], {"1": {"best": 0.5, "waited": 2}, "2": {"count": 7}})
    assert best.get_state() == {"best": 0.5, "waited": 2}
    assert counting.count == 7
