"""Trackers by name."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from tfmtl.data import PreparedData
from tfmtl.schema.checks import check_one_of
from tfmtl.schema.extras import need_extra
from tfmtl.training.run_folder import RunFolder
from tfmtl.training.trackers.tracker import RunFacts, Tracker
from tfmtl.training.train_options import TrainOptions

TRACKERS = ("tensorboard", "mlflow", "wandb")
"""Names of trackers; TensorBoard's curves are written by every run."""

_CLASSES = {"mlflow": "MlflowTracker", "wandb": "WandbTracker"}


def make_trackers(names: Sequence[str], data: PreparedData, output: str | Path, options: TrainOptions) -> list[Tracker]:
    """The callbacks for `fit` that tell trackers of a run.

    Args:
        names: some of `TRACKERS`, each once.
        data: `PreparedData`.
        output: str or Path. The run's folder, as for `fit`.
        options: `TrainOptions`, as for `fit`.

    Raises:
        ValueError: there is no tracker of a name, or the folder is none for a run.
        ImportError: its package is not installed.
    """
    for name in names:
        check_one_of("train", "track", name, TRACKERS)
    asked = [name for name in dict.fromkeys(names) if name in _CLASSES]
    if not asked:
        return []
    settings = {name: value for name, value in options.to_dict().items() if name != "preset_options"}
    settings |= {f"set.{name}": value for name, value in options.preset_options.items()}
    tags = {"data": str(data.directory), "data_digest": data.digest, "fingerprint": data.problem.fingerprint}
    folder = RunFolder(Path(output), options, data)
    name = Path(output).resolve().name
    return [
        _tracker(each)(RunFacts(data.problem.name, name, settings, tags, folder.own.path / f"{each}.json"))
        for each in asked
    ]


def _tracker(name: str) -> type[Tracker]:
    need_extra("train: `track`", "track", name)
    module = importlib.import_module(f"tfmtl.training.trackers.{name}_tracker")
    found: type[Tracker] = getattr(module, _CLASSES[name])
    return found
