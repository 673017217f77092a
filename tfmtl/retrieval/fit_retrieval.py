"""Train a retrieval model, from a process that uses Keras 3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.export.transform_record import TransformRecord
from tfmtl.export.versions import new_version
from tfmtl.folders import ExportedVersion
from tfmtl.retrieval.items import read_items
from tfmtl.retrieval.nearest import nearest
from tfmtl.retrieval.popularity import popularity_index, positive_counts
from tfmtl.retrieval.recall import Search, recall
from tfmtl.retrieval.retrieval_module import history_keys
from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.schema.checks import error_text
from tfmtl.schema.extras import need_extra
from tfmtl.schema.reserved import MISSING_ID, OUT_OF_VOCABULARY

MEASURED = ("valid", "test")


class RetrievalError(RuntimeError):
    """The process that trains the retrieval model did not end well: the text says why."""


def fit_retrieval(
    data: PreparedData,
    items: pa.Table,
    directory: str | Path,
    options: RetrievalOptions | None = None,
    version: int | None = None,
    on_epoch: Callable[[Mapping[str, Any]], object] | None = None,
) -> Path:
    """Trains a TFRS two-tower model in a process of its own, writes `<directory>/<version>/` and returns it.

    The SavedModel holds an exact index of `items` (signatures: see `RetrievalModule`). Beside it, in `assets.extra/`:
    `retrieval.json`, the options, every epoch and the recall on the validation and test splits against popularity;
    `items.parquet`; `problem.yaml` and `transform.json`. Only the training split is learned from, the validation split
    picks the epoch, and the test split is looked at once.

    Args:
        data: `PreparedData`.
        items: the items to index, a row each: the raw features of side `item`, `""`, `[]` or NaN where missing.
        directory: base directory of the model's versions.
        options: `RetrievalOptions`. Defaults to `None`: all defaults.
        version: int. Defaults to one above the newest, 1 at first.
        on_epoch: called after every epoch with `epoch`, `loss` (of its last batch) and the validation recalls.
            Defaults to nothing.

    Raises:
        ValueError: the problem has no items or no binary task, there is no positive to learn from, or an option or
            the directory does not fit.
        ImportError: tensorflow-recommenders is not installed.
        RetrievalError: the training process failed.
        OSError: a file cannot be written; other versions are as they were.
    """
    options = (options or RetrievalOptions()).resolved(data.problem)
    need_extra("retrieve", "retrieval", "tensorflow_recommenders", "tf_keras")
    task, item = str(options.task), str(options.item)
    counts = positive_counts(data, task, item)
    if not counts.sum():
        advice = "Choose a task that happens in the training split."
        raise ValueError(error_text("retrieve", "task", "have positive rows to learn from", task, advice))
    with new_version("retrieve", Path(directory), version) as (written, final):
        written.extra.mkdir(parents=True)
        parquet.write_table(items, written.items)
        job = {"data": str(data.directory), "items": str(written.items), "output": str(written.path)}
        epochs = _train({**job, "options": asdict(options)}, on_epoch)
        data.problem.save(written.fitted.problem)
        TransformRecord.of(data).save(written.transform)
        record = {
            "item": item,
            "task": task,
            "items": items.num_rows,
            "options": asdict(options),
            "epochs": epochs,
            "recall": _recalls(data, written, options),
        }
        written.retrieval.write_text(json.dumps(record, indent=1) + "\n")
    return final


def _train(job: Mapping[str, Any], on_epoch: Callable[[Mapping[str, Any]], object] | None) -> list[dict[str, Any]]:
    """Runs `tfmtl.retrieval.train` and returns what its epochs gave."""
    command = [sys.executable, "-m", "tfmtl.retrieval.train", json.dumps(job)]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    epochs = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            epochs.append(json.loads(line))
            if on_epoch is not None:
                on_epoch(epochs[-1])
        lines = process.stderr.read().strip().splitlines()
    if process.returncode:
        raise RetrievalError(f"retrieve: training failed: {lines[-1] if lines else f'status {process.returncode}'}")
    return epochs


def _recalls(data: PreparedData, version: ExportedVersion, options: RetrievalOptions) -> dict[str, dict[str, Any]]:
    """Split -> who searched -> recalls, of the exported index and of popularity."""
    task, item = str(options.task), str(options.item)
    loaded = tf.saved_model.load(str(version.path))
    raw_ids = read_items(data.problem, version.items)[item]
    ids = data.transform().encode(item, raw_ids)
    popular = popularity_index(positive_counts(data, task, item), ids.numpy())
    keys = history_keys(data.problem, item)

    def by_popularity(user: Mapping[str, tf.Tensor], k: tf.Tensor) -> Any:
        return nearest(popular, next(iter(user.values())), k, ids)

    def by_popularity_unseen(user: Mapping[str, tf.Tensor], k: tf.Tensor) -> Any:
        seen = tf.concat([user[key] for key in keys], axis=1)
        return nearest(popular, seen, k, ids, tf.where(seen == OUT_OF_VOCABULARY, MISSING_ID, seen))

    searches: dict[str, Search] = {"popularity": by_popularity, "two_tower": loaded.search_encoded}
    if keys:
        searches |= {"popularity_unseen": by_popularity_unseen, "two_tower_unseen": loaded.search_encoded_unseen}
    return {
        split: {name: recall(data, split, task, item, ids.numpy(), search) for name, search in searches.items()}
        for split in MEASURED
        if data.num_examples(split)
    }
