"""A process that imports TensorFlow once and forks a process for every run. Arguments: data folder, output folder.

Scenarios are rows of attempts at one command, each but the last killed by SIGKILL. The one called `tracked` also tells
the trackers that are installed, with their stores in `<output>/store.db` and `<output>/wandb`. `<output>/<scenario>/`
is the run's folder; beside it `<scenario>.npz` holds the weights and optimizer state of the model that the last attempt
returned, `<scenario>.txt` what the attempts said and `<scenario>.json` how they ended.
"""

import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.forked_run import forked
from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions, fit, keep_state
from tfmtl.training.keep_state import KeepState
from tfmtl.training.trackers import make_trackers

OPTIONS: dict[str, Any] = {
    "preset": "shared_bottom",
    "preset_options": {"hidden_units": (16, 8), "tower_units": (8,), "dropout": 0.3},
    "epochs": 8,
    "batch_size": 60,  # six steps an epoch
    "learning_rate": 0.4,
    "monitor": "val_loss",
    "patience": 2,
    "checkpoint_every": 2,
    "clip_norm": 5.0,
    "ema_momentum": 0.8,
}


TRACKERS = [name for name in ("mlflow", "wandb") if importlib.util.find_spec(name)]


def die() -> None:
    """Nothing runs after this line: no handler, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner: Any, name: str, number: int, before: bool = True) -> Callable[[], None]:
    """Arranges the kill at the n-th call of a function, before or after it does its work."""

    def arrange() -> None:
        original, calls = getattr(owner, name), [0]

        def killing(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == number and before:
                die()
            result = original(*arguments, **options)
            if calls[0] == number:
                die()
            return result

        setattr(owner, name, killing)

    return arrange


def inside_checkpoint(number: int, arrays: int) -> Callable[[], None]:
    """While the n-th checkpoint is written: so many arrays are in the file, the others are not."""

    def arrange() -> None:
        original, saves = keep_state.save_state, [0]

        def save(*arguments: Any) -> None:
            saves[0] += 1
            if saves[0] == number:
                at_call(np.lib.format, "write_array", arrays)()
            original(*arguments)

        keep_state.save_state = save

    return arrange


def after_checkpoint(seconds: float) -> Callable[[], None]:
    """So long after the first checkpoint, whatever it is doing by then."""

    def arrange() -> None:
        original, timers = keep_state.save_state, [threading.Timer(seconds, die)]

        def save(*arguments: Any) -> None:
            original(*arguments)
            while timers:
                timers.pop().start()

        keep_state.save_state = save

    return arrange


def attempt(data: PreparedData, folder: Path, kill: Callable[[], None] | None, tracked: list[str]) -> int:
    """Exit status of a forked process that trains."""

    def train() -> None:
        if kill is not None:
            kill()
        options = TrainOptions(**OPTIONS)
        trackers = make_trackers(tracked, data, folder, options)
        model = fit(data, folder, options, callbacks=trackers, verbose=2)
        values = [variable.numpy() for variable in (*model.weights, *model.optimizer.variables)]
        np.savez(folder.with_suffix(".npz"), *values)

    return os.waitstatus_to_exitcode(os.waitpid(forked(folder.with_suffix(".txt"), train), 0)[1])


def main(data: PreparedData, output: Path) -> None:
    """Runs every scenario."""
    stores = {"MLFLOW_TRACKING_URI": f"sqlite:///{output / 'store.db'}", "WANDB_MODE": "offline"}
    for name in TRACKERS:
        importlib.import_module(name)  # once, not in every attempt
    os.environ |= {**stores, "WANDB_DIR": str(output), "WANDB_SILENT": "true"}
    started = time.monotonic()
    ends = {"whole": [attempt(data, output / "whole", None, [])]}
    seconds = time.monotonic() - started
    generator = random.Random(0)
    scenarios = {
        "moments": [
            at_call(KeepState, "on_train_batch_end", generator.randint(3, 5)),
            inside_checkpoint(generator.randint(2, 3), generator.randint(2, 30)),
            at_call(KeepState, "on_test_begin", 1),
            at_call(keep_state, "save_state", 2, before=False),
            at_call(shutil, "copyfile", 1, before=False),
            at_call(Path, "write_text", 1),
            at_call(shutil, "rmtree", 1),
        ],
        "tracked": [
            at_call(KeepState, "on_train_batch_end", 1),  # before the first checkpoint
            at_call(KeepState, "_write_history", 2),  # when they were told of an epoch that is in no checkpoint
        ],
        "times": [after_checkpoint(seconds * generator.uniform(0.0, 0.3)) for _ in range(2)],
    }
    for name, kills in scenarios.items():
        tracked = TRACKERS if name == "tracked" else []
        ends[name] = [attempt(data, output / name, kill, tracked) for kill in [*kills, None]]
    (output / "ends.json").write_text(json.dumps(ends))


if __name__ == "__main__":
    main(PreparedData(sys.argv[1]), Path(sys.argv[2]))
