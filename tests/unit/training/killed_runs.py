"""A process that imports TensorFlow once and forks a process for every run. Arguments: data folder, output folder.

Every scenario is a row of attempts at one command, each but the last killed by SIGKILL at its moment; the last has to
finish. What every finished run leaves is written to `<output>/<scenario>.npz`, and what the attempts said to
`<output>/<scenario>.txt`. "whole" is never killed.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions, fit, keep_state, run_folder, training_state
from tfmtl.training.keep_state import KeepState

OPTIONS = {
    "preset": "mmoe",
    "preset_options": {"hidden_units": (16, 8), "tower_units": (8,), "num_experts": 2, "dropout": 0.3},
    "epochs": 4,
    "batch_size": 60,
    "learning_rate": 0.03,
    "monitor": "val_loss",
    "patience": 2,
    "checkpoint_every": 2,
    "clip_norm": 5.0,
}
MODEL_STEPS = 6  # 360 examples


def die() -> None:
    """Nothing runs after this line: no handler, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(module: object, name: str, number: int, before: bool) -> Callable[[], None]:
    """Arranges the kill at the n-th call of a function, before or after what it does."""

    def arrange() -> None:
        original = getattr(module, name)
        calls = [0]

        def killing(*arguments, **options):
            calls[0] += 1
            if calls[0] == number and before:
                die()
            result = original(*arguments, **options)
            if calls[0] == number:
                die()
            return result

        setattr(module, name, killing)

    return arrange


class HalfWay:
    """Inside the writing of the n-th checkpoint: some arrays are in the file, the others are not."""

    def __init__(self, number: int, arrays: int) -> None:
        self.number, self.arrays = number, arrays

    def __call__(self) -> None:
        saves, arrays = [0], [0]
        save, write = training_state.save_state, np.lib.format.write_array

        def counted_save(*arguments):
            saves[0] += 1
            arrays[0] = 0
            return save(*arguments)

        def counted_write(*arguments, **options):
            arrays[0] += 1
            if saves[0] == self.number and arrays[0] == self.arrays:
                die()
            return write(*arguments, **options)

        keep_state.save_state = counted_save
        np.lib.format.write_array = counted_write


def at_step(number: int) -> Callable[[], None]:
    """After so many steps of this attempt, before its checkpoint."""
    return at_call(KeepState, "on_train_batch_end", number, before=True)


def in_validation(number: int) -> Callable[[], None]:
    """In the n-th epoch of this attempt, between its steps and its end."""
    return at_call(KeepState, "on_test_begin", number, before=True)


def attempts(generator: random.Random) -> dict[str, list[Callable[[], None]]]:
    """Scenario -> what kills each of its attempts."""
    return {
        "whole": [],
        "at steps": [at_step(generator.randint(3, 9)), at_step(generator.randint(2, 8))],
        "while a checkpoint is written": [HalfWay(4, generator.randint(2, 40)), HalfWay(1, generator.randint(2, 40))],
        "around the epoch's end": [in_validation(2), at_call(keep_state, "save_state", 3, before=False)],
        "while the result gets its place": [
            at_call(run_folder.os, "replace", 1, before=False),
            at_call(run_folder.shutil, "rmtree", 1, before=True),
        ],
    }


def attempt(data: PreparedData, folder: Path, said: Path, kill: Callable[[], None] | None) -> int:
    """Status of a forked process that runs the command."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException), said.open("a") as screen:
            os.dup2(screen.fileno(), 1)
            os.dup2(screen.fileno(), 2)
            if kill is not None:
                kill()
            fit(data, folder, TrainOptions(**OPTIONS), verbose=2)
            status = 0
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
