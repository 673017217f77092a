"""Training runs, several at a time, each on one thread; what is done already is not done again."""

import hashlib
import json
import multiprocessing
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tfmtl.folders import TrainedRun


@dataclass(frozen=True)
class Variant:
    """A row of a table: a preset with options.

    Args:
        name: str. As the table shows it.
        preset: str. One of `tfmtl.models.PRESETS`.
        options: mapping. Options of the preset.
        training: mapping. Further options of `TrainOptions`, such as ema_momentum or monitor.
    """

    name: str
    preset: str
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One training run.

    Args:
        data: str. Output folder of `tfmtl preprocess`.
        variant: `Variant`.
        seed: int.
        learning_rate: float.
        epochs: int. At most; training stops after two epochs without a better validation metric.
        batch_size: int.
        budget: int or None. Number of parameters that the network's widths are scaled to.
        decay: float. Factor of the learning rate from one epoch to the next; 1 leaves it to the schedule.
        schedule: str. As in `TrainOptions`.
    """

    data: str
    variant: Variant
    seed: int
    learning_rate: float = 1e-3
    epochs: int = 8
    batch_size: int = 512
    budget: int | None = None
    decay: float = 1.0
    schedule: str = "constant"

    @property
    def key(self) -> str:
        """What makes two runs the same, wherever the data lie."""
        described = {**asdict(self), "data": Path(self.data).name}
        described["defaults"] = _digest_of_defaults()
        return json.dumps(described, sort_keys=True)


@cache
def _digest_of_defaults() -> str:
    """Of the options of training that a job does not name: a default that changes makes other runs of them."""
    from tfmtl.training import TrainOptions

    return hashlib.sha256(json.dumps(TrainOptions().to_dict(), sort_keys=True).encode()).hexdigest()[:8]


def run_jobs(jobs: Iterable[Job], done: Path, processes: int = 2) -> list[dict[str, Any]]:
    """The records of all jobs, in their order.

    Args:
        jobs: what to run.
        done: file of finished runs, a JSON object per line; read first, then added to. Remove it to run them anew.
        processes: how many at a time.
    """
    jobs = list(jobs)
    records = {}
    if done.is_file():
        records = {record["key"]: record for record in map(json.loads, done.read_text().splitlines())}
    done.parent.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if job.key not in records]
    if missing:
        where = facts()
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        with (
            ProcessPoolExecutor(processes, mp_context=context, initializer=use_one_thread) as pool,
            done.open("a") as log,
        ):
            for count, future in enumerate(as_completed([pool.submit(_run, job) for job in missing]), 1):
                record = {**future.result(), **where}
                records[record["key"]] = record
                log.write(json.dumps(record) + "\n")
                log.flush()
                print(f"{count}/{len(missing)} {_one_line(record)}", flush=True)
    return [records[job.key] for job in jobs]


def facts() -> dict[str, str]:
    """The code and the machine that numbers are made with."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    names = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    cores = os.cpu_count()
    return {"commit": commit, "hardware": f"{cores} cores of {names[0] if names else platform.machine()}"}


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def _one_line(record: dict[str, Any]) -> str:
    aucs = [f"{task} {metrics['auc']:.4f}" for task, metrics in record["valid"].items() if metrics.get("auc")]
    what = f"{record['variant']} seed {record['seed']} lr {record['learning_rate']:g}"
    return f"{what}: {record['seconds']:.0f} s, {record['epochs']} epochs, validation AUC {', '.join(aucs)}"


def use_one_thread() -> None:
    """One thread a run: two runs side by side on two cores are faster than each on both, one after the other."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from tfmtl.pipelines.cli.quiet_start import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _run(job: Job) -> dict[str, Any]:
    import keras

    from tfmtl.training import TrainOptions, evaluate, fit

    started = time.monotonic()
    data = _data(job.data)
    options = dict(job.variant.options)
    if job.budget is not None:
        options["hidden_units"] = _fitting_widths(job.data, job.variant.preset, json.dumps(options), job.budget)
    choices = TrainOptions(
        preset=job.variant.preset,
        preset_options=options,
        epochs=job.epochs,
        batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        schedule=job.schedule,
        seed=job.seed,
        **job.variant.training,
    )
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, _: job.learning_rate * job.decay**epoch)
    with TemporaryDirectory() as folder:
        model = fit(data, folder, choices, [] if job.decay == 1.0 else [schedule], verbose=0)
        run = TrainedRun(folder).read_record("benchmarks")
    record = {
        "key": job.key,
        "data": Path(job.data).name,
        "variant": job.variant.name,
        "preset": job.variant.preset,
        "training": job.variant.training,
        "options": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        "seed": job.seed,
        "learning_rate": job.learning_rate,
        "batch_size": job.batch_size,
        "decay": job.decay,
        "schedule": job.schedule,
        "parameters": run["parameters"],
        "epochs": len(run["history"]["loss"]),
        "monitor": run["monitor"],
        "best": (min if run["monitor"].endswith(("loss", "rmse")) else max)(run["history"][run["monitor"]]),
        "valid": evaluate(model, data, "valid"),
        "test": evaluate(model, data, "test"),
    }
    del model
    keras.backend.clear_session()
    return {**record, "seconds": round(time.monotonic() - started, 1)}


@cache
def _data(folder: str) -> Any:
    from tfmtl.data import PreparedData

    return PreparedData(folder)


@cache
def _fitting_widths(folder: str, preset: str, options: str, budget: int) -> tuple[int, ...]:
    """The preset's widths, scaled by one factor until the model has as many parameters as the budget, or nearly."""
    import inspect

    from tfmtl.models import PRESETS, from_preset

    inputs, chosen = _data(folder).inputs, json.loads(options)
    widths = chosen.pop("hidden_units", inspect.signature(PRESETS[preset]).parameters["hidden_units"].default)

    def scaled(factor: float) -> tuple[int, ...]:
        return tuple(max(2, round(factor * width)) for width in widths)

    def parameters(factor: float) -> int:
        return int(from_preset(preset, inputs, hidden_units=scaled(factor), **chosen).count_params())

    low, high = 0.02, 16.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if parameters(middle) > budget else (middle, high)
    share = parameters(low) / budget
    if not 0.9 <= share <= 1.1:
        raise ValueError(
            f"{preset}: no widths give {budget:,} parameters within 10 %; nearest are {share:.2f} times it."
        )
    return scaled(low)
