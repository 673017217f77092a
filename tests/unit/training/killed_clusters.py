"""A process that imports TensorFlow once and forks those of every cluster. Arguments: data folder, output folder.

Scenarios are rows of attempts at one run, each but the last ended by SIGKILL of some of its processes; the others are
killed when the first is gone, as whoever starts clusters does. `<output>/<scenario>/` is the run's folder; beside it
`<scenario>.npz` holds the weights that the chief's last attempt returned and `<scenario>.txt` what its attempts said.
"""

import functools
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from tests.support.cluster import free_ports
from tests.support.forked_run import forked
from tfmtl.data import PreparedData
from tfmtl.training import TrainOptions, fit

Place = tuple[str, int]
WORKERS: tuple[Place, ...] = (("worker", 0), ("worker", 1))
SERVED: tuple[Place, ...] = (("chief", 0), ("worker", 0), ("ps", 0))
OPTIONS = {
    "preset": "shared_bottom",
    "preset_options": {"hidden_units": (16, 8), "tower_units": (8,), "dropout": 0.3},
    "epochs": 4,
    "batch_size": 60,  # six steps an epoch
    "learning_rate": 0.05,
    "patience": 4,
}
SCENARIOS: dict[str, tuple[str, tuple[Place, ...], list[dict[Place, int]]]] = {
    "whole": ("multi_worker", WORKERS, [{}]),
    "killed": (
        "multi_worker",
        WORKERS,
        [{("worker", 1): 1}, {("worker", 0): 2}, {("worker", 0): 3, ("worker", 1): 3}, {}, {}],
    ),
    "served": ("parameter_server", SERVED, [{("chief", 0): 2}, {}]),
}
"""Scenario -> strategy, processes, and of every attempt who dies in the middle of which epoch."""


class Die(keras.callbacks.Callback):
    """Ends the process in the middle of an epoch: no handler, no flush."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch
        self._dies = False

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._dies = epoch == self._epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self._dies and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train(data: PreparedData, folder: Path, strategy: str, epoch: int | None, chief: bool) -> None:
    """What a process of a cluster does, to its end."""
    options = TrainOptions(**OPTIONS, strategy=strategy)
    model = fit(data, folder, options, callbacks=[] if epoch is None else [Die(epoch)], verbose=2)
    if chief:
        np.savez(folder.with_suffix(".npz"), *[weight.numpy() for weight in model.weights])


def attempt(
    data: PreparedData, folder: Path, strategy: str, places: tuple[Place, ...], deaths: Mapping[Place, int]
) -> list[int]:
    """Exit statuses of the processes of one cluster."""
    ports = dict(zip(places, free_ports(len(places)), strict=True))
    cluster: dict[str, list[str]] = {}
    for (job, _), port in ports.items():
        cluster.setdefault(job, []).append(f"127.0.0.1:{port}")
    children = {}
    for place in places:
        task = {"type": place[0], "index": place[1]}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})  # its process reads it
        chief = place == places[0]
        job = functools.partial(train, data, folder, strategy, deaths.get(place), chief)
        children[forked(folder.with_suffix(".txt" if chief else ".others.txt"), job)] = place
    statuses = {}
    for _ in places:
        child, status = os.waitpid(-1, 0)
        statuses[children.pop(child)] = os.waitstatus_to_exitcode(status)
        served = strategy == "parameter_server"  # workers and servers serve until they are stopped
        if served or any(statuses.values()):
            for other in children:
                os.kill(other, signal.SIGKILL)
    return [statuses[place] for place in places]


def main(data: PreparedData, output: Path) -> None:
    """Runs every scenario."""
    ends = {
        name: [attempt(data, output / name, strategy, places, deaths) for deaths in attempts]
        for name, (strategy, places, attempts) in SCENARIOS.items()
    }
    (output / "ends.json").write_text(json.dumps(ends))


if __name__ == "__main__":
    main(PreparedData(sys.argv[1]), Path(sys.argv[2]))
