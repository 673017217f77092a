"""What a page of a run shows, as plain values."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.folders import TrainedRun
from tfmtl.models import MultiTaskModel
from tfmtl.training.keep_best import best_epoch
from tfmtl.training.monitor import monitor_direction
from tfmtl.training.permutation_importance import sample_rows

_HIDDEN_OPTIONS = ("preset", "preset_options")


def run_options(record: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the run that are set, those of its preset among them.

    Args:
        record: `run.json`.
    """
    options = {name: value for name, value in record["options"].items() if name not in _HIDDEN_OPTIONS}
    own = {f"set.{name}": value for name, value in record["options"].get("preset_options", {}).items()}
    return {name: value for name, value in {**own, **options}.items() if value is not None and value is not False}


def kept_epoch(record: Mapping[str, Any], data: PreparedData) -> int | None:
    """The epoch, from 0, whose model is kept; None without validation.

    Args:
        record: `run.json`.
        data: `PreparedData`.
    """
    monitor = record["monitor"]
    if monitor is None or monitor not in record["history"]:
        return None
    return int(best_epoch(monitor_direction(data.problem, monitor), record["history"][monitor]))


def conflict_records(run: TrainedRun) -> list[dict[str, Any]]:
    """The lines of the monitor's file; none where the run did not look for conflicts.

    Args:
        run: `TrainedRun`.
    """
    if not run.conflicts.is_file():
        return []
    return [json.loads(line) for line in run.conflicts.read_text().splitlines()]


def expert_use(model: MultiTaskModel, data: PreparedData, split: str, rows: int, seed: int) -> list[np.ndarray]:
    """What every expert gets of each task's gate, a matrix `(tasks, experts)` a level; none without gates.

    Args:
        model: the trained model.
        data: `PreparedData`.
        split: str.
        rows: int. Rows to look at.
        seed: int. Draws them.
    """
    if not data.num_examples(split):
        return []
    features, _ = sample_rows(data, split, rows, np.random.default_rng(seed))
    gates = model.sharing.gate_weights(model.bottom(model.embedding(features)))
    return [np.asarray(gate, np.float64).mean(axis=0) for gate in gates]
