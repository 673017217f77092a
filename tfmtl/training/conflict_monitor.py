"""Monitor conflicts during training: cosines of task gradients, gates, field weights, embedding norms."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfmtl.balancing import Balancer
from tfmtl.core.types import Tensor
from tfmtl.data import PreparedData
from tfmtl.folders import TrainedRun
from tfmtl.models import MultiTaskModel
from tfmtl.models.batch_losses import BatchLosses
from tfmtl.models.steps.forward_pass import ForwardPass
from tfmtl.models.steps.task_gradients import task_gradients
from tfmtl.schema.checks import check_positive_int

_RESERVED_ROWS = 2  # missing, and out of vocabulary
_ZERO_NORM = 1e-3  # of a row; a new one has about 0.1
_UNUSED = 0.05  # of what an expert would get if all got the same
_DECIDED = 0.05  # entropy of a gate, of at most 1


class ConflictMonitor(keras.callbacks.Callback):
    """Measures signs of task conflict, repeatedly on the same training rows.

    - `cosines` of the tasks' gradients at what tasks share, and the share of pairs that point against each other;
    - for every gate that mixes experts (`MMoE`, `CGC`, `PLE`) and every task its `entropy`, from 0 (one expert) to 1
      (all alike), and what every expert gets. A warning says when no task uses an expert, or a gate has decided;
    - the weight that every task gives every field, for a bottom that has such (`DTRNBottom`);
    - for every feature the mean norm of its embeddings and the share of rows near zero, reserved rows aside.

    A line of JSON a measurement goes to `conflict.jsonl`, the numbers to TensorBoard. What cannot be measured, such as
    the cosine to a task without labels, is null. Training is not changed: nothing is assigned, dropout included.

    Args:
        data: `PreparedData`; the first rows of its training split are measured.
        folder: the run folder.
        every: int or None. Steps between measurements. Defaults to `None`: at the end of every epoch.
        num_rows: int. Number of measured rows. Defaults to `1024`.

    Raises:
        TypeError: `every` or `num_rows` is no int.
        ValueError: `every` or `num_rows` is less than 1.
    """

    def __init__(self, data: PreparedData, folder: str | Path, every: int | None = None, num_rows: int = 1024) -> None:
        super().__init__()
        if every is not None:
            check_positive_int("ConflictMonitor", "every", every)
        check_positive_int("ConflictMonitor", "num_rows", num_rows)
        self.every = every
        self._run = TrainedRun(folder)
        self._path = self._run.conflicts
        self._batch = next(iter(data.split("train", num_rows).map(lambda features, labels, _: (features, labels))))
        self._measure: Any = None
        self._warned: set[str] = set()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Keeps of an older file what was measured up to the step that training starts from."""
        self._step = self._measured = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        self._measure = tf.function(lambda *batch: _measurements(self.model, *batch), autograph=False)
        self._writer = tf.summary.create_file_writer(str(self._run.tensorboard / "conflict"))
        before = self._path.read_text().splitlines() if self._path.is_file() else []
        kept = [line for line in before if json.loads(line)["step"] <= self._step]
        self._path.write_text("".join(f"{line}\n" for line in kept))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        if self.every is not None and self._step >= self._measured + self.every:
            self._record()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.every is None:
            self._record()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._writer.close()

    def _record(self) -> None:
        self._measured = self._step
        found = tf.nest.map_structure(lambda value: value.numpy(), self._measure(*self._batch))
        record = {"step": self._step, **_report(self.model, found)}
        for warning in record["warnings"]:
            if warning not in self._warned:
                self._warned.add(warning)
                warnings.warn(f"ConflictMonitor: {warning} (step {self._step})", stacklevel=2)
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        with self._writer.as_default(self._step):
            for name, value in _scalars("", {key: value for key, value in record.items() if key != "step"}):
                tf.summary.scalar(name, value)
        self._writer.flush()


class _Looks(Balancer):
    """Weighs all tasks alike, and keeps the Gramian it was shown."""

    uses_gramian: ClassVar[bool] = True

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        self.gramian = gramian
        return tf.ones_like(losses)


def _measurements(model: MultiTaskModel, features: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Any:
    """What has to be computed by the model."""
    looks = _Looks()
    looks.build(len(model.inputs.problem.tasks))
    with keras.StatelessScope(collect_losses=True):
        losses = BatchLosses(model, features, labels, None)
        task_gradients(ForwardPass(model, features, losses, jit_compile=False), looks)
        embedded = model.embedding(features)
        gates, fields = model.sharing.gate_weights(model.bottom(embedded)), model.bottom.field_weights(embedded)
        norms = {}
        for each in model.inputs.problem.field_tensors:
            rows = None if each.table is None else model.embedding.plan.tables[each.table]
            if rows is not None and rows.count > _RESERVED_ROWS:
                table = model.embedding.tables[str(rows.width)].value
                own = tf.norm(table[rows.start + _RESERVED_ROWS : rows.start + rows.count], axis=1)
                norms[each.field] = (tf.reduce_mean(own), tf.reduce_mean(tf.cast(own < _ZERO_NORM, tf.float32)))
    use = [tf.reduce_mean(tf.cast(gate, tf.float32), axis=0) for gate in gates]  # each (T, E)
    entropies = [tf.reduce_mean(_entropy(tf.cast(gate, tf.float32)), axis=0) for gate in gates]  # each (T,)
    weights = () if fields is None else tf.reduce_mean(tf.cast(fields, tf.float32), axis=0)  # (T, F + J)
    return {"gramian": looks.gramian, "use": use, "entropies": entropies, "fields": weights, "norms": norms}


def _entropy(weights: Tensor) -> Tensor:
    """From 0 to 1, over the last axis of at least 2."""
    return -tf.reduce_sum(tf.math.xlogy(weights, weights), axis=-1) / np.log(max(weights.shape[-1], 2))


def _report(model: MultiTaskModel, found: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers under their names, ready for JSON."""
    tasks = list(model.inputs.task_names)
    lengths = np.sqrt(np.diag(found["gramian"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = found["gramian"] / lengths[:, None] / lengths[None, :]
    pairs = {
        f"{one}, {other}": float(cosines[i, k]) if np.isfinite(cosines[i, k]) else None
        for i, one in enumerate(tasks)
        for k, other in enumerate(tasks)
        if i < k
    }
    known = [cosine for cosine in pairs.values() if cosine is not None]
    gates, warned = {}, []
    for level, (use, entropies) in enumerate(zip(found["use"], found["entropies"], strict=True), start=1):
        gates[f"level {level}"] = {
            task: {"entropy": float(entropy), **{f"expert {k}": float(share) for k, share in enumerate(shares)}}
            for task, entropy, shares in zip(tasks, entropies, use, strict=True)
        }
        warned += _collapses(tasks, level, use, entropies, model.sharing.num_specific_experts)
    fields: dict[str, Any] = {}
    if len(found["fields"]):
        names = [*model.embedding.field_names, *(sequence.name for sequence in model.inputs.problem.sequences)]
        fields = {
            task: {name: float(weight) for name, weight in zip(names, weights, strict=True)}
            for task, weights in zip(tasks, found["fields"], strict=True)
        }
    return {
        "cosines": pairs,
        "conflicting_pairs": sum(cosine < 0.0 for cosine in known) / len(known) if known else None,
        "gates": gates,
        "field_weights": fields,
        "embeddings": {
            name: {"mean_norm": float(norm), "zero_share": float(share)}
            for name, (norm, share) in found["norms"].items()
        },
        "warnings": warned,
    }


def _collapses(tasks: list[str], level: int, use: np.ndarray, entropies: np.ndarray, num_specific: int) -> list[str]:
    """Warnings about the gates of a level; a task's first experts are its own."""
    experts = use.shape[1]
    if experts < 2:
        return []
    unused = use < _UNUSED / experts  # (T, E)
    found = [
        f"task '{task}' no longer uses expert {k} of its own at level {level}"
        for task, row in zip(tasks, unused, strict=True)
        for k in np.flatnonzero(row[:num_specific])
    ]
    found += [
        f"no task uses expert {num_specific + k} at level {level} any more"
        for k in np.flatnonzero(unused[:, num_specific:].all(axis=0))
    ]
    return found + [
        f"the gate of task '{task}' at level {level} has settled on one expert"
        for task, entropy in zip(tasks, entropies, strict=True)
        if entropy < _DECIDED
    ]


def _scalars(prefix: str, value: Any) -> list[tuple[str, float]]:
    """All numbers in it, named by their way there."""
    if isinstance(value, Mapping):
        return [pair for key, inner in value.items() for pair in _scalars(f"{prefix}/{key}".lstrip("/"), inner)]
    return [(prefix, value)] if isinstance(value, float) else []
