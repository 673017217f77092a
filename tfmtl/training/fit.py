"""One training run: data folder in, run folder out."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.step_folders import TRAINED, check_output_folder
from tfmtl.core.validation import check_one_of, error_text
from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel, from_preset
from tfmtl.schema import SPLITS
from tfmtl.training.stop_on_nan import StopOnNaN
from tfmtl.training.strategy import get_strategy
from tfmtl.training.train_options import TrainOptions
from tfmtl.training.workers import is_chief, own_folder

MODEL_FILE = "model.keras"
RECORD_FILE = "run.json"
TENSORBOARD = "tensorboard"
_EVAL_BATCH = 4096


def fit(
    data: PreparedData,
    output: str | Path,
    options: TrainOptions | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Any = "auto",
) -> MultiTaskModel:
    """Trains a preset and returns it as it was at its best epoch.

    Writes to `output`: `model.keras` (the best epoch; an older one is replaced only when training has ended, and its
    `evaluation_*.json` go with it), `history.csv`, `tensorboard/`, `run.json` (options, history, versions, timing).
    Without validation examples the last epoch counts as the best.

    With strategy `"multi_worker"` every worker calls this with the same arguments and returns the same model; the
    chief alone writes to its `output`, others to a folder that goes when they end. With `"parameter_server"` it does
    not return but on the chief.

    Args:
        data: `PreparedData`.
        output: folder, created if needed.
        options: `TrainOptions`. Defaults to their defaults.
        callbacks: further Keras callbacks.
        verbose: as in `keras.Model.fit`.

    Raises:
        ValueError: `options.monitor` is no metric of this model, or there is no validation split to measure it on, or
            `output` holds prepared data or exported models.
        TypeError: `options.preset_options` holds something that the preset does not know.
        TrainingError: a task's loss became NaN or infinite.
    """
    options = options or TrainOptions()
    check_output_folder("fit", "output", Path(output), TRAINED)
    strategy = get_strategy(options.strategy)  # several workers have to find each other before all else
    output = own_folder(strategy, Path(output))
    keras.utils.set_random_seed(options.seed)
    with strategy.scope():
        model = from_preset(options.preset, data.inputs, **options.preset_options)
        model.compile(keras.optimizers.Adam(options.learning_rate), jit_compile=options.jit_compile)
    monitor = _monitor(model, options.monitor, data)
    output.mkdir(parents=True, exist_ok=True)
    for events in (output / TENSORBOARD).glob("*/events.out.tfevents.*"):  # else two runs share one curve
        events.unlink()
    best = output / "best.partial.keras"
    try:
        started = time.monotonic()
        history = model.fit(
            data.train(options.batch_size, options.seed),
            validation_data=data.valid(_EVAL_BATCH) if monitor else None,
            epochs=options.epochs,
            callbacks=[*_callbacks(output, best, monitor, options.patience), *callbacks],
            verbose=verbose if is_chief(strategy) else 0,
        )
        seconds = time.monotonic() - started
        if not monitor:
            model.save(best)
        for split in SPLITS:  # they are about the model that goes now
            (output / f"evaluation_{split}.json").unlink(missing_ok=True)
        os.replace(best, output / MODEL_FILE)
    finally:
        best.unlink(missing_ok=True)
    record = {
        "model": options.preset,
        "options": options.to_dict(),
        "monitor": monitor,
        "data": os.path.abspath(data.directory),
        "fingerprint": data.problem.fingerprint,
        "parameters": model.count_params(),
        "history": {name: [float(value) for value in values] for name, values in history.history.items()},
        "seconds": round(seconds, 2),
        "examples_per_second": round(data.num_examples("train") * len(history.epoch) / seconds),
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
    }
    (output / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n")
    return model


def _monitor(model: MultiTaskModel, monitor: str | None, data: PreparedData) -> str | None:
    """The metric that picks the best epoch; `None` where there is nothing to measure it on."""
    if not data.num_examples("valid"):
        if monitor is not None:
            advice = "Leave it out, or give the split a share for validation."
            raise ValueError(error_text("fit", "monitor", "be None without validation examples", monitor, advice))
        return None
    known = [f"val_{name}" for name in model.get_metrics_result()]
    chosen = monitor or ("val_mean_auc" if "val_mean_auc" in known else "val_loss")
    check_one_of("fit", "monitor", chosen, known)
    return chosen


def _callbacks(output: Path, best: Path, monitor: str | None, patience: int) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = [
        keras.callbacks.CSVLogger(str(output / "history.csv")),
        keras.callbacks.TensorBoard(str(output / TENSORBOARD), write_graph=False),
        StopOnNaN(),
    ]
    if monitor:
        mode = "max" if monitor.endswith("auc") else "min"
        callbacks += [
            keras.callbacks.ModelCheckpoint(str(best), monitor=monitor, mode=mode, save_best_only=True),
            keras.callbacks.EarlyStopping(monitor=monitor, mode=mode, patience=patience, restore_best_weights=True),
        ]
    return callbacks
