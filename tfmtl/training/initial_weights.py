"""Warm start: begin with the weights of an earlier run."""

import hashlib
import json
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.folders import FolderError, TrainedRun
from tfmtl.models import MultiTaskModel, load
from tfmtl.models.growth import take_weights
from tfmtl.schema.checks import error_text
from tfmtl.training.train_options import TrainOptions


def initial_digest(options: TrainOptions) -> str | None:
    """Hexadecimal digits that change with the run that `options.init_from` names; `None` if it names none.

    Raises:
        ValueError: there is no finished run, or one of another preset.
    """
    if options.init_from is None:
        return None
    return hashlib.sha256(json.dumps(_record(options.init_from, options), sort_keys=True).encode()).hexdigest()[:16]


def start_from_run(model: MultiTaskModel, data: PreparedData, folder: str) -> None:
    """Gives a model the weights of an earlier run's best one, its tables grown as the data's vocabularies did.

    Raises:
        ValueError: the data's ids mean something else than that run's.
    """
    take_weights("fit", model, load(TrainedRun(folder).model, compiled=False), data)


def _record(folder: str, options: TrainOptions) -> dict[str, Any]:
    run = TrainedRun(folder)
    try:
        record = run.read_record("fit")
    except FolderError:  # which says enough
        raise
    except (OSError, ValueError):
        record = {}
    if not record or not run.model.is_file():
        advice = f"Give a folder with {run.RECORD} and {run.MODEL}."
        raise ValueError(error_text("fit", "init_from", "be the output of a finished run", folder, advice))
    theirs = record.get("options", {})
    for name in ("preset", "preset_options"):
        mine = json.loads(json.dumps(getattr(options, name)))
        if theirs.get(name) != mine:
            rule = f"be that of the run to start from ({theirs.get(name)!r})"
            raise ValueError(error_text("fit", name, rule, mine, "Give the same, or start without `init_from`."))
    return record
