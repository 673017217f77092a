"""One training run: from a data folder to a run folder."""

import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.models import MultiTaskModel, from_preset, load
from tfmtl.models.feature_dropout import FeatureDropout
from tfmtl.schema import Problem
from tfmtl.schema.checks import error_text
from tfmtl.training.after_training import finish_heads
from tfmtl.training.conflict_monitor import ConflictMonitor
from tfmtl.training.initial_weights import check_trained_tables, start_from_run, start_tables
from tfmtl.training.keep_best import KeepBest, best_epoch, save_model
from tfmtl.training.keep_state import KeepState
from tfmtl.training.label_leaks import LabelLeak, find_label_leaks
from tfmtl.training.make_optimizers import make_optimizers, without_decay
from tfmtl.training.monitor import choose_monitor, monitor_direction
from tfmtl.training.non_finite import batch_faults, weight_faults
from tfmtl.training.progress import Progress
from tfmtl.training.relative_loss import (
    RELATIVE_LOSS,
    ConstantLosses,
    RelativeLoss,
    constant_losses,
    worse_than_a_constant,
)
from tfmtl.training.rounds import Rounds
from tfmtl.training.run_folder import RunFolder
from tfmtl.training.short_epoch import ShortEpoch
from tfmtl.training.stop_on_nan import StopOnNaN
from tfmtl.training.strategy import get_strategy
from tfmtl.training.table_memory import check_table_memory
from tfmtl.training.train_options import TrainOptions
from tfmtl.training.training_state import fits, restore_state
from tfmtl.training.weight_average import WeightAverage
from tfmtl.training.workers import all_say, is_chief, is_one_of_several, own_folder

_EVAL_BATCH = 4096
_ADAM_SLOTS = 2


def fit(
    data: PreparedData,
    output: str | Path,
    options: TrainOptions | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Any = "auto",
    fresh: bool = False,
) -> MultiTaskModel:
    """Trains a preset and returns it as it was at its best epoch.

    Writes to `output`: `model.keras` (the best epoch; an older one is replaced only when training has ended, and its
    `evaluation_*.json` go with it), `history.csv`, `tensorboard/`, `run.json` (options, history, warnings, versions,
    timing). Without validation examples the last epoch counts as the best.

    A killed run resumes when it is called again with the same options and data, and ends with the same bits as a run
    that was never killed. Until then its state is in `unfinished_<digest>/`. A finished run is not repeated: its model
    is loaded. With other options or data training starts again, and the older state is removed at the first
    checkpoint. All this is printed, unless `verbose` is 0.

    Warns of features that alone tell a label, and of tasks without any.

    With strategy `"multi_worker"` every worker calls this with the same arguments and returns the same model; the
    chief alone writes to its `output`, others to a temporary folder. With `"parameter_server"` it returns only on the
    chief. With either strategy there are checkpoints only at the end of each epoch. A killed run resumes there when all
    processes are started again: with `"multi_worker"` it ends with the same bits, if all workers see `output`; with
    `"parameter_server"`, whose steps have no fixed order, it ends with other bits.

    Args:
        data: `PreparedData`.
        output: folder, created if needed.
        options: `TrainOptions`. Defaults to their defaults.
        callbacks: further Keras callbacks. One with `get_state()` (plain values, as JSON holds them) and
            `set_state(state)` resumes, too; others start again.
        verbose: as in `keras.Model.fit`.
        fresh: bool. Train from the start, even if the folder has this run already. Defaults to `False`.

    Raises:
        ValueError: `options.monitor` is no metric of this model, or there is nothing to measure it on; `output` holds
            prepared data or exported models, is being written by another run, or cannot be written to; the tables do
            not fit into memory; there is no training example; `options.init_from` is no finished run of this preset,
            or of data with other ids.
        TypeError: `options.preset_options` holds something that the preset does not know.
        DataError: a file of the data is damaged.
        TrainingError: a task's loss or a weight became NaN or infinite, or the disk is full.
    """
    options = options or TrainOptions()
    strategy = get_strategy(options.strategy)  # several workers have to find each other before all else
    verbose = verbose if is_chief(strategy) else 0
    folder = RunFolder(own_folder(strategy, Path(output)), options, data)
    if not is_chief(strategy):
        folder.take_over(RunFolder(Path(output), options, data))
    with folder.locked(), data.damage_named():
        return _fit(data, folder, options, strategy, callbacks, verbose, fresh)


def _fit(
    data: PreparedData,
    folder: RunFolder,
    options: TrainOptions,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: Any,
    fresh: bool,
) -> MultiTaskModel:
    """`fit` in a folder that no other run is writing to."""
    alone = not is_one_of_several(strategy)
    progress = Progress() if fresh else folder.progress() or Progress()
    resumes = bool(progress.epoch or progress.step)
    is_finished = folder.is_finished() and not resumes and not fresh
    if not all_say(strategy, -1 if is_finished else progress.epoch):
        _say(verbose, f"Starting again: a worker cannot read the state in '{folder.path}'. Use a shared folder.")
        fresh, progress, resumes, is_finished = True, Progress(), False, False
    if is_finished:
        folder.drop_unfinished()  # it may have been killed after its last file and before this
        _say(verbose, f"Nothing to do: '{folder.model}' is of these options and data. To train anew: fresh (--fresh).")
        with strategy.scope():
            return load(folder.model)
    if not data.num_examples("train"):
        raise ValueError(error_text("fit", "data", "have training examples", str(data.directory), "Check its split."))
    check_trained_tables(data, options)
    memory = check_table_memory(data.inputs, _ADAM_SLOTS + bool(options.averaged), force=not options.memory_check)
    if options.deterministic and options.strategy != "parameter_server":
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(options.seed)
    rounds = Rounds(-(-data.num_examples("train") // options.batch_size), options.epochs, options.evaluate_every)
    with strategy.scope():
        model = from_preset(options.preset, data.inputs, **options.preset_options)
        dense, tables = make_optimizers(options, rounds.total)
        if options.weight_decay:
            dense.exclude_from_weight_decay(without_decay(model))
        model.compile(dense, tables, **options.compile_arguments())
        model.optimizer.build(model.trainable_variables)
        average = WeightAverage(model, options.averaged) if options.averaged else None
    dropout = FeatureDropout(
        data.inputs, options.id_dropout, options.field_dropout, options.seed, data.statistics.vocabulary_counts
    )
    model.feature_dropout = dropout if dropout.drops else None
    known = [*(f"val_{name}" for name in model.metrics_names), RELATIVE_LOSS]
    monitor = choose_monitor(known, options.monitor, data)
    constants = constant_losses(model, data.valid(_EVAL_BATCH)) if monitor else ConstantLosses({})
    folder.check_writable()
    _say(verbose, memory)
    leaks = []
    if is_chief(strategy):  # no other's warnings and record are kept
        leaks = find_label_leaks(data)
        _warn(data, leaks)
    if resumes and not fits(folder.own.state, model):
        progress, resumes = Progress(), False
        _say(verbose, "Starting again: the unfinished run in this folder was of a model with other weights.")
    elif resumes:
        restore_state(folder.own.state, model)
        epoch, step = rounds.place(progress.epoch, progress.step)
        _say(verbose, f"Resumed at epoch {epoch + 1}, step {step} of {rounds.steps}.")
    elif not fresh and folder.what_changed():
        _say(verbose, f"Starting again, because of changes: {folder.what_changed()}.")
    if not resumes:
        folder.start_anew()
        for line in start_tables(model, data):
            _say(verbose, line)
        model.embedding.adapt(features for features, _, _ in data.split("train", _EVAL_BATCH))
        if options.init_from is not None:
            start_from_run(model, data, options.init_from)
        else:
            for layer in model.embedding.field_layers.values():
                layer.load_given_weights()
        if average:
            average.restart()
    further = [*callbacks, average] if average else callbacks
    others = [*_callbacks(folder, progress, rounds, monitor, constants, options, data, model), *further]
    keep_state = KeepState(
        folder,
        progress,
        rounds.length,
        options.checkpoint_every,
        others,
        within_epochs=alone,
        writes=is_chief(strategy),
    )
    if not progress.stopped and progress.epoch < rounds.number:
        model.fit(
            data.train_epochs(options.batch_size, options.seed, *rounds.place(progress.epoch, progress.step)),
            validation_data=data.valid(_EVAL_BATCH) if monitor else None,
            initial_epoch=progress.epoch,
            epochs=rounds.number,
            steps_per_epoch=rounds.length,
            callbacks=[*others, keep_state],
            verbose=verbose,
        )
    if not monitor:
        if average:
            average.swap()
        save_model(model, folder.own.best)
    if finish_heads(model, data, folder.own.best):
        save_model(model, folder.own.best)
    folder.finish(_record(model, data, options, monitor, progress, leaks, rounds, constants))
    _say(verbose, _what_is_kept(data.problem, monitor, progress.history, rounds))
    _say(verbose, _what_is_worse(data.problem, monitor, progress.history, constants))
    model.load_weights(folder.model)
    if average:
        del model.weight_average
    return model


def _what_is_kept(problem: Problem, monitor: str | None, history: Mapping[str, Sequence[float]], rounds: Rounds) -> str:
    last = rounds.shown(len(history["loss"]) - 1)
    if monitor is None:
        return f"Kept epoch {last}, the last: there is no validation to choose by."
    kept = best_epoch(monitor_direction(problem, monitor), history[monitor])
    beside = [
        f"{name} {history[name][kept]:.4f}"
        for name in ("val_mean_auc", RELATIVE_LOSS)
        if name in history and name != monitor
    ]
    more = f"\nBeside it: {', '.join(beside)}." if beside else ""
    return f"Kept epoch {rounds.shown(kept)} of {last}: {monitor} {history[monitor][kept]:.4f} is the best.{more}"


def _what_is_worse(
    problem: Problem, monitor: str | None, history: Mapping[str, Sequence[float]], constants: ConstantLosses
) -> str | None:
    if monitor is None:
        return None
    kept = best_epoch(monitor_direction(problem, monitor), history[monitor])
    logs = {name: values[kept] for name, values in history.items()}
    return worse_than_a_constant(constants.relative(logs))


def _say(verbose: Any, sentence: str | None) -> None:
    if verbose and sentence:
        print(sentence, flush=True)


def _warn(data: PreparedData, leaks: Sequence[LabelLeak]) -> None:
    for leak in leaks:
        warnings.warn(f"fit: {leak}", stacklevel=3)
    for task in data.inputs.task_names:
        if not data.num_labels("train", task):
            text = f"fit: task '{task}' has no label in the training split: nothing is learned about it."
            warnings.warn(text, stacklevel=3)


def _callbacks(
    folder: RunFolder,
    progress: Progress,
    rounds: Rounds,
    monitor: str | None,
    constants: ConstantLosses,
    options: TrainOptions,
    data: PreparedData,
    model: MultiTaskModel,
) -> list[keras.callbacks.Callback]:
    def explain(number: int, step: int | None) -> str:
        if step is None:
            batches = data.valid(_EVAL_BATCH)
        else:
            batches = data.train_epochs(options.batch_size, options.seed, *rounds.place(number, step)).take(1)
        for features, labels in batches.as_numpy_iterator():
            found = batch_faults(data.inputs, features, labels)
            if found:
                return f"At fault: {'; '.join(found)}."
        broken = weight_faults(model)
        return f"No value of the data is at fault; weights that are not finite by now: {len(broken)}, as {broken[:3]}."

    own: list[keras.callbacks.Callback] = [
        ShortEpoch(rounds.short_rounds(progress.epoch, progress.step)),
        StopOnNaN(explain, progress.step),
        *([RelativeLoss(constants)] if monitor else []),
        keras.callbacks.TensorBoard(str(folder.tensorboard), write_graph=False),
    ]
    if monitor:
        own.append(KeepBest(folder.own.best, monitor, monitor_direction(data.problem, monitor), options.patience))
    if options.monitor_conflicts:
        own.append(ConflictMonitor(data, folder.path))
    return own


def _record(
    model: MultiTaskModel,
    data: PreparedData,
    options: TrainOptions,
    monitor: str | None,
    progress: Progress,
    leaks: Sequence[LabelLeak],
    rounds: Rounds,
    constants: ConstantLosses,
) -> dict[str, Any]:
    epochs = min(len(progress.history["loss"]) * rounds.length, rounds.total) / rounds.steps
    return {
        "model": options.preset,
        "options": options.to_dict(),
        "monitor": monitor,
        "data": os.path.abspath(data.directory),
        "fingerprint": data.problem.fingerprint,
        "parameters": model.count_params(),
        "label_leaks": [leak.to_dict() for leak in leaks],
        "history": progress.history,
        "constant_losses": dict(constants.losses),
        "seconds": round(progress.seconds, 2),
        "examples_per_second": round(data.num_examples("train") * epochs / progress.seconds),
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
    }
