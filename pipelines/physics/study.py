"""Training and measuring, one row of a table at a time."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from tfmtl.operators import OperatorData, OperatorNetwork, RelativeL2Loss, refit_last_layer, relative_l2_errors
from tfmtl.schema.checks import check_positive_int, check_positive_number

Field: TypeAlias = npt.NDArray[np.floating]
_RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Setting:
    """How a network is trained: Adam with a cosine decay to 0, on the relative L2 loss.

    Args:
        steps: int. Steps of a training.
        batch_size: int. Samples of a step. Defaults to `100`.
        num_queries: int. Points of a step. Defaults to `128`.
        learning_rate: float. The first one. Defaults to `4e-3`.
        seed: int. Of weights, batches and points. Defaults to `0`.
        run_eagerly: bool. Whether to compute step by step without tracing a graph, which is quicker for a few steps.
            Defaults to `False`.
    """

    steps: int
    batch_size: int = 100
    num_queries: int = 128
    learning_rate: float = 4e-3
    seed: int = 0
    run_eagerly: bool = False

    def __post_init__(self) -> None:
        for argument in ("steps", "batch_size", "num_queries"):
            check_positive_int("Setting", argument, getattr(self, argument))
        check_positive_number("Setting", "learning_rate", self.learning_rate)

    def share(self, parts: int) -> "Setting":
        """The same with that part of the steps."""
        return replace(self, steps=max(1, self.steps // parts))


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Args:
        name: str. What was done.
        errors: task -> relative L2 error of each test sample.
        steps: int. Optimizer steps, all trainings of the row together. Defaults to `0`.
        seconds: float. Wall-clock seconds from the second call of the training step on. Defaults to `0.0`.
        processor_seconds: float. Processor time of the process in these. Defaults to `0.0`.
    """

    name: str
    errors: Mapping[str, npt.NDArray[np.float64]]
    steps: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def means(self) -> dict[str, float]:
        """task -> mean error."""
        return {task: float(np.mean(errors)) for task, errors in self.errors.items()}


@dataclass
class Clock(keras.callbacks.Callback):
    """Seconds of a training without its first call, which traces the graph, scaled up to all steps."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    _start: list[float] = field(default_factory=list)
    _first: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if not self._start:
            self._start = [time.perf_counter(), time.process_time()]
            self._first = batch + 1
        self._last = batch + 1

    def on_train_end(self, logs: object = None) -> None:
        timed = self._last - self._first
        factor = self._last / timed if timed else 0.0
        self.seconds = factor * (time.perf_counter() - self._start[0])
        self.processor_seconds = factor * (time.process_time() - self._start[1])


def train(network: OperatorNetwork, data: OperatorData, setting: Setting) -> Clock:
    """Trains an adapted network, or goes on with a trained one."""
    rate = keras.optimizers.schedules.CosineDecay(setting.learning_rate, setting.steps)
    network.compile(
        keras.optimizers.Adam(rate),
        RelativeL2Loss(),
        jit_compile=False,
        run_eagerly=setting.run_eagerly,
        steps_per_execution=1 if setting.run_eagerly else min(50, max(1, setting.steps // 2)),
    )
    clock = Clock()
    batches = data.batches(setting.batch_size, setting.steps, setting.seed, setting.num_queries)
    network.fit(batches, steps_per_epoch=setting.steps, verbose=0, callbacks=[clock])
    return clock


def trained(make: Callable[[], OperatorNetwork], data: OperatorData, setting: Setting) -> tuple[OperatorNetwork, Clock]:
    """A network made from the setting's seed, adapted to the data and trained."""
    keras.utils.set_random_seed(setting.seed)
    network = make()
    network.adapt(data)
    return network, train(network, data, setting)


def predicted(network: OperatorNetwork, data: OperatorData) -> npt.NDArray[np.float32]:
    """Fields at all points, 0 outside of the mask: `(N, Q)`."""
    with warnings.catch_warnings():
        # Forms and geometries that training did not have are asked for on purpose.
        warnings.filterwarnings("ignore", message=".*outside of its training range")
        fields: npt.NDArray[np.float32] = network.predict(data.whole(50), verbose=0)
    return fields if data.mask is None else np.where(data.mask, fields, np.float32(0.0))


def by_task(data: OperatorData, fields: Field) -> dict[str, npt.NDArray[np.float64]]:
    """The error of every sample, task by task."""
    errors = relative_l2_errors(data.targets, fields, data.mask)
    return {data.task_names[number]: errors[data.tasks == number] for number in np.unique(data.tasks)}


def measured(name: str, network: OperatorNetwork, test: OperatorData, clock: Clock, steps: int) -> Row:
    """The row of one training."""
    return Row(name, by_task(test, predicted(network, test)), steps, clock.seconds, clock.processor_seconds)


def single_tasks(
    name: str, make: Callable[[], OperatorNetwork], train_data: OperatorData, test: OperatorData, setting: Setting
) -> Row:
    """A network of its own for every task of the training data, tested on that task."""
    errors, seconds, processor_seconds = {}, 0.0, 0.0
    for task in train_data.task_names:
        network, clock = trained(make, train_data.task(task), setting)
        own = test.task(task)
        errors[task] = relative_l2_errors(own.targets, predicted(network, own), own.mask)
        seconds += clock.seconds
        processor_seconds += clock.processor_seconds
    return Row(name, errors, setting.steps * len(errors), seconds, processor_seconds)


def trivial_rows(train_data: OperatorData, test: OperatorData, like: str | None = None) -> list[Row]:
    """What needs no network: the mean field of the training samples, and the field of the nearest one.

    Both of the test task's own training samples, if there are any, and of all samples else. Nearest is by the
    standardized inputs.

    Args:
        train_data: training samples.
        test: test samples, on the same points.
        like: name of one more input whose distance counts alone, or `None`. Defaults to `None`.
    """
    mean, nearest = np.zeros_like(test.targets), np.zeros_like(test.targets)
    for number, task in enumerate(test.task_names):
        rows = np.flatnonzero(test.tasks == number)
        known = train_data.task(task) if task in train_data.task_names else train_data
        mean[rows] = known.targets.mean(axis=0)
        names = [like] if like else list(known.inputs)
        left, right = (np.concatenate([_flat(d.inputs[n]) for n in names], 1) for d in (known, test.rows(rows)))
        center, spread = left.mean(axis=0), left.std(axis=0)
        spread = np.where(spread > 1e-6, spread, 1.0)
        left, right = (left - center) / spread, (right - center) / spread
        distances = (left**2).sum(1)[None] - 2.0 * right @ left.T
        nearest[rows] = known.targets[np.argmin(distances, axis=1)]
    inside = 1.0 if test.mask is None else test.mask
    return [
        Row("mean field of training", by_task(test, mean * inside)),
        Row("nearest training sample", by_task(test, nearest * inside)),
    ]


def refitted(network: OperatorNetwork, data: OperatorData) -> Clock:
    """The last layer of the branch in closed form, the ridge chosen on every fifth sample; returns the time."""
    started, processor = time.perf_counter(), time.process_time()
    held_out = np.arange(len(data)) % 5 == 4
    errors = {}
    for ridge in _RIDGES if held_out.any() else [1e-3]:
        trial = copy_of(network)
        refit_last_layer(trial, data.rows(~held_out), ridge)
        left = data.rows(held_out) if held_out.any() else data
        errors[ridge] = np.mean(relative_l2_errors(left.targets, trial(left.features()), left.mask))
    refit_last_layer(network, data, min(errors, key=lambda ridge: errors[ridge]))
    return Clock(time.perf_counter() - started, time.process_time() - processor)


def copy_of(network: OperatorNetwork) -> OperatorNetwork:
    """A network of its own with the same weights."""
    copy: OperatorNetwork = OperatorNetwork.from_config(network.get_config())
    copy.build()
    copy.set_weights(network.get_weights())
    return copy


def first_of_each(data: OperatorData, count: int) -> OperatorData:
    """The first samples of every task, that many."""
    rows = [np.flatnonzero(data.tasks == number)[:count] for number in range(len(data.task_names))]
    return data.rows(np.concatenate(rows))


def _flat(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return values.reshape(len(values), -1).astype(np.float64)
