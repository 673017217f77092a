"""The training data of an operator network: inputs, points and solutions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.schema.checks import check_count, check_positive_int, error_text

Array = npt.NDArray[Any]
_OWNER = "OperatorData"
RESERVED = ("points", "mask", "task")
"""Keys of a batch that are no input of a branch."""


@dataclass(frozen=True)
class OperatorData:
    """Samples of one or several tasks: what the branch reads, and the solution at points that all samples share.

    Shapes: N samples, Q points of d coordinates, C outputs.

    Args:
        inputs: name -> float `(N, ...)`, what the branch reads, in physical units.
        points: float `(Q, d)`.
        targets: float `(N, Q)` or `(N, Q, C)`, in physical units, 0 outside of the mask.
        task_names: tuple of str. The tasks in order.
        tasks: int `(N,)`. The place of each sample's task in `task_names`.
        mask: bool `(N, Q)` or None. Which points lie inside of the domain. Defaults to `None`: all.

    Raises:
        ValueError: If shapes do not agree, a value is not finite, or a field is not 0 outside of the mask.
    """

    inputs: Mapping[str, Array]
    points: Array
    targets: Array
    task_names: tuple[str, ...]
    tasks: Array
    mask: Array | None = None

    def __post_init__(self) -> None:
        self._check_shapes()
        advice = "Solve or drop that sample; mark points outside of the domain in `mask`, with targets of 0."
        check_finite(_OWNER, {**self.inputs, "points": self.points, "targets": self.targets}, advice)
        if self.mask is not None and np.any(self.targets[~self.mask]):
            advice = "Set the field to 0 there, and flatten mask and field in the same order."
            raise ValueError(f"{_OWNER}: `targets` must be 0 outside of the mask. Received: other values. {advice}")

    def _check_shapes(self) -> None:
        if np.ndim(self.points) != 2:
            advice = "Give one row of coordinates per point."
            raise ValueError(error_text(_OWNER, "points.shape", "be (Q, d)", np.shape(self.points), advice))
        count, points = len(self.tasks), len(self.points)
        advice = "Give every sample one value per point, flattened in the order of `points`."
        if self.targets.ndim not in (2, 3) or self.targets.shape[:2] != (count, points):
            rule = f"be ({count}, {points}) or ({count}, {points}, C)"
            raise ValueError(error_text(_OWNER, "targets.shape", rule, self.targets.shape, advice))
        if self.mask is not None and (self.mask.shape != (count, points) or self.mask.dtype != bool):
            received = f"{self.mask.dtype} {self.mask.shape}"
            raise ValueError(error_text(_OWNER, "mask", f"be bool ({count}, {points})", received, advice))
        for name, values in self.inputs.items():
            if name in RESERVED:
                raise ValueError(error_text(_OWNER, "inputs", f"not be named {RESERVED}", name, "Rename it."))
            if len(values) != count:
                advice = "Give one row per sample."
                raise ValueError(error_text(_OWNER, name, f"have {count} rows", values.shape, advice))

    @classmethod
    def of_task(
        cls, task: str, inputs: Mapping[str, Array], points: Array, targets: Array, mask: Array | None = None
    ) -> "OperatorData":
        """The samples of a single task, arguments as those of the class; floats become float32."""
        single = {name: np.asarray(values, np.float32) for name, values in inputs.items()}
        tasks = np.zeros(len(targets), np.int32)
        return cls(single, np.asarray(points, np.float32), np.asarray(targets, np.float32), (task,), tasks, mask)

    @classmethod
    def join(cls, *parts: "OperatorData") -> "OperatorData":
        """All samples of the parts, tasks in alphabetical order, so that the order of the parts does not matter.

        Raises:
            ValueError: the parts have other points or inputs, or some have a mask and some have not.
        """
        names = tuple(sorted({name for part in parts for name in part.task_names}))
        first = parts[0]
        for part in parts[1:]:
            if not np.array_equal(part.points, first.points):
                advice = "Interpolate all fields to one set of points first."
                raise ValueError(error_text(_OWNER, "points", "be the same in all parts", part.points.shape, advice))
            if part.inputs.keys() != first.inputs.keys() or (part.mask is None) != (first.mask is None):
                received = sorted(part.inputs), "no mask" if part.mask is None else "a mask"
                advice = "Give every part the same inputs, and a mask to all or to none."
                raise ValueError(error_text(_OWNER, "inputs", "be the same in all parts", received, advice))
        # By task, then as given.
        places = [np.array([names.index(name) for name in part.task_names])[part.tasks] for part in parts]
        tasks = np.concatenate(places)
        order = np.argsort(tasks, kind="stable")
        return cls(
            {name: np.concatenate([part.inputs[name] for part in parts])[order] for name in first.inputs},
            first.points,
            np.concatenate([part.targets for part in parts])[order],
            names,
            tasks[order].astype(np.int32),
            None
            if first.mask is None
            else np.concatenate([part.mask for part in parts if part.mask is not None])[order],
        )

    def __len__(self) -> int:
        return len(self.tasks)

    def rows(self, chosen: Any) -> "OperatorData":
        """The samples that a slice or an array of positions chooses."""
        return OperatorData(
            {name: values[chosen] for name, values in self.inputs.items()},
            self.points,
            self.targets[chosen],
            self.task_names,
            self.tasks[chosen],
            None if self.mask is None else self.mask[chosen],
        )

    def task(self, name: str) -> "OperatorData":
        """The samples of one task, as data of that task alone."""
        own = self.rows(np.flatnonzero(self.tasks == self.task_names.index(name)))
        return replace(own, task_names=(name,), tasks=np.zeros_like(own.tasks))

    def features(self) -> dict[str, Array]:
        """All samples as one batch without targets: inputs, `points`, `task` and, where there is one, `mask`."""
        batch = {**self.inputs, "points": self.points, "task": self.tasks}
        return batch if self.mask is None else {**batch, "mask": self.mask}

    def batches(
        self, batch_size: int, steps: int, seed: int = 0, num_queries: int | None = None, start: int = 0
    ) -> tf.data.Dataset:
        """Batches for `fit`: `(features, targets)`, one per step.

        Samples come in a new order every epoch; a rest that fills no batch is left out of that epoch. Step number n
        gives the same batch whatever `start` is, so a run that went on from a saved model sees what it would have seen.

        Args:
            batch_size: int. Samples of a step; all of them if there are fewer.
            steps: int. Batches up to the end, those before `start` included.
            seed: int. Seed of the order of the samples and of the points. Defaults to `0`.
            num_queries: int or None. Points of a step, drawn anew each time. Defaults to `None`: all.
            start: int. The first step. Defaults to `0`.

        Raises:
            ValueError, TypeError: a number is no positive int, or `start` is negative.
        """
        for argument, value in (("batch_size", batch_size), ("steps", steps), ("num_queries", num_queries)):
            if value is not None:
                check_positive_int(_OWNER, argument, value)
        check_count(_OWNER, "start", start)
        size = min(batch_size, len(self))
        per_epoch = len(self) // size
        queries = None if num_queries is None or num_queries >= len(self.points) else num_queries
        inputs = {name: tf.constant(values) for name, values in self.inputs.items()}
        points, targets, tasks = tf.constant(self.points), tf.constant(self.targets), tf.constant(self.tasks)
        mask = None if self.mask is None else tf.constant(self.mask)

        def batch(step: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            rows = _shuffled(len(self), seed, 0, step // per_epoch)
            rows = tf.reshape(rows[size * (step % per_epoch) :][:size], (size,))
            features = {name: tf.gather(values, rows) for name, values in inputs.items()}
            features["task"] = tf.gather(tasks, rows)
            chosen = (
                None
                if queries is None
                else tf.reshape(_shuffled(len(self.points), seed, 1, step)[:queries], (queries,))
            )
            features["points"] = points if chosen is None else tf.gather(points, chosen)
            if mask is not None:
                features["mask"] = _picked(mask, rows, chosen)
            return features, _picked(targets, rows, chosen)

        return tf.data.Dataset.range(start, steps).map(batch).prefetch(8)

    def whole(self, batch_size: int = 256) -> tf.data.Dataset:
        """Every sample once, in order, with all points: `(features, targets)` for `evaluate` and `predict`."""
        batched = {**self.inputs, "task": self.tasks}
        if self.mask is not None:
            batched["mask"] = self.mask
        points = tf.constant(self.points)
        rows = tf.data.Dataset.from_tensor_slices((batched, self.targets)).batch(batch_size)
        return rows.map(lambda features, targets: ({**features, "points": points}, targets))


def check_finite(owner: str, arrays: Mapping[str, Array], advice: str) -> None:
    """Raises `ValueError` where an array holds NaN or infinity."""
    for name, values in arrays.items():
        bad = ~np.isfinite(values)
        if bad.any():
            where = tuple(int(index) for index in np.argwhere(bad)[0])
            received = f"{values[where]} at {where}, {int(bad.sum())} such values"
            raise ValueError(f"{owner}: `{name}` must be finite. Received: {name}={received}. {advice}")


def _shuffled(count: int, seed: int, stream: int, number: tf.Tensor) -> tf.Tensor:
    """The numbers below `count` in an order that depends on the other arguments alone."""
    first = tf.constant(2 * seed + stream, tf.int64)
    return tf.random.experimental.stateless_shuffle(tf.range(count), seed=tf.stack([first, number]))


def _picked(values: tf.Tensor, rows: tf.Tensor, chosen: tf.Tensor | None) -> tf.Tensor:
    rows_only = tf.gather(values, rows)
    return rows_only if chosen is None else tf.gather(rows_only, chosen, axis=1)
