"""Warm start: begin with the weights of an earlier run."""

import hashlib
import json
from typing import Any

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.features import behavior_of
from tfmtl.folders import FolderError, TrainedRun
from tfmtl.models import MultiTaskModel, load
from tfmtl.models.growth import take_weights
from tfmtl.schema.checks import error_text
from tfmtl.schema.reserved import RESERVED_IDS
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


def start_tables(model: MultiTaskModel, data: PreparedData) -> list[str]:
    """Fills the tables whose rows start from something else than chance, such as word vectors; says which.

    Raises:
        ValueError: a file of a feature of the problem is not there, or is wrong.
    """
    embedding, said = model.embedding, []
    filled: set[str] = set()
    for feature in data.problem.features:
        for name, rows in behavior_of(feature, data.problem).initial_rows(data.statistics).items():
            if name in filled:  # features may share a table
                continue
            filled.add(name)
            place = embedding.plan.tables[name]
            table = embedding.tables[str(place.width)]
            values = np.array(table)
            own = values[place.start + RESERVED_IDS : place.start + place.count]
            copies = np.tile(rows, (1, embedding.copies))
            own[:] = np.where(np.isnan(copies), own, copies)
            table.assign(values)
            known = int((~np.isnan(rows[:, 0]) & rows.any(axis=1)).sum())
            said.append(f"Table '{name}': {known:,} of {len(rows):,} rows start from given vectors.")
    return said


def check_trained_tables(data: PreparedData, options: TrainOptions) -> None:
    """Raises where an option would change rows that the problem says are not trained."""
    kept = [each.table for each in data.problem.tensors if not each.is_trained]
    if kept and options.embedding_l2:
        rule = f"be 0 where rows of a table ('{kept[0]}') are not trained: it shrinks every row that is read"
        advice = "Leave it out, or train the rows."
        raise ValueError(error_text("fit", "embedding_l2", rule, options.embedding_l2, advice))


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
