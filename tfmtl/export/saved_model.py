"""Write a model version that a server can load."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.export.answers import Answers
from tfmtl.export.calibration.calibrate import FITTED_ON, calibrate, calibration_report
from tfmtl.export.calibration.reliability_figure import save_reliability_figure
from tfmtl.export.export_options import ExportOptions
from tfmtl.export.golden import write_golden
from tfmtl.export.score import Score
from tfmtl.export.serving_module import ServingModule
from tfmtl.export.signature_files import write_signature_files
from tfmtl.export.small_tables import small_tables, table_report
from tfmtl.export.stored_table import StoredTable, check_form
from tfmtl.export.task_warmup import write_task_warmup
from tfmtl.export.time_record import TimeRecord
from tfmtl.export.transform_record import TransformRecord
from tfmtl.export.versions import new_version
from tfmtl.export.warmup import write_warmup
from tfmtl.schema.checks import check_one_of, error_text
from tfmtl.schema.extras import need_extra

if TYPE_CHECKING:  # replaying an export must not load the layers
    from tfmtl.models import MultiTaskModel

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def export(
    model: MultiTaskModel,
    data: PreparedData,
    directory: str | Path,
    version: int | None = None,
    check: Callable[[Path], object] | None = None,
    options: ExportOptions | None = None,
) -> Path:
    """Writes `<directory>/<version>/` and returns it.

    The SavedModel takes raw features (signatures `serving_default`, `serve_examples`, `rank` and one per task, see
    `ServingModule`). Beside it, in `assets.extra/`: `problem.yaml`; `transform.json`, the identity of what was fitted,
    for `compose`; `times.json`, training's last time, by which a server knows times in another unit; `golden.jsonl` and
    `golden_rank.jsonl`, real requests with the answers of the training graph, for `verify`;
    `tf_serving_warmup_requests`; `signature.md`, `signature.json` and `requests/`, which say how to ask;
    `statistics.json` and `training_profile.json`, what the transformation was fitted to and how the training features
    are distributed, for `tfmtl skew`; of a calibrated model `calibration.json` and `reliability.png`; of one with small
    tables `tables.json`, what these save and cost, and then golden answers are the training graph's with the same small
    tables. Written under another name and renamed, so that a server that watches the directory never sees half a
    version.

    Args:
        model: a trained `MultiTaskModel`.
        data: the `PreparedData` it was trained on.
        directory: str or Path. Folder of the model's versions; each version is a folder in it, named by its number.
        version: int or None. The number. Defaults to `None`: one above the newest, 1 at first.
        check: callable or None. Called with the complete folder before it gets its name, such as `verify`; if it
            raises, the version does not appear. Defaults to `None`: no check.
        options: `ExportOptions` or None. Defaults to `None`: all tasks, as the model predicts them.

    Raises:
        ValueError: the model was trained on other data, the version is not positive or exists, the directory is
            another step's output, an option does not fit the problem, or small tables cost too much of an AUC.
        TypeError: the version is not an int, or the data something else.
        OSError: a file cannot be written; other versions are as they were.
    """
    if not isinstance(data, PreparedData):
        advice = "Give the data that the model was trained on, as in export(model, PreparedData(folder), directory)."
        raise TypeError(error_text("export", "data", "be a PreparedData", data, advice))
    data.check_fitted_for("export", model.inputs)
    options = options or ExportOptions()
    if options.calibrate:
        need_extra("export: the figure of `calibrate`", "report", "matplotlib")
    if options.tables is not None:
        check_form(options.tables)
    answers = _answers(data, options)
    with (
        new_version("export", Path(directory), version) as (written, final),
        _tables(model, data, options.tables) as (tables, report_of_tables),
    ):
        splits = _predictions(model, data) if options.calibrate else {}
        if options.calibrate:
            fitting = splits[FITTED_ON]
            states = data.inputs.task_state
            calibrators = calibrate(data.problem, options.calibrate, fitting["labels"], fitting["predictions"], states)
            answers = replace(answers, calibrators=calibrators)
        module = ServingModule(model, data.transform(), data.problem, answers, tables)
        tf.saved_model.save(module, str(written.path), signatures=module.signatures())
        written.extra.mkdir()
        if tables:
            written.tables.write_text(json.dumps(report_of_tables, indent=1) + "\n")
        data.problem.save(written.fitted.problem)
        TransformRecord.of(data).save(written.transform)
        times = TimeRecord.of(data)
        if times is not None:
            times.save(written.times)
        shutil.copyfile(data.fitted.statistics, written.fitted.statistics)
        profile = FeatureProfile.of_split(data, "train")
        written.profile.write_text(json.dumps(profile.to_dict()) + "\n")
        requests = data.requests()
        golden = write_golden(model, data.problem, module.transform, requests, answers, written)
        if answers.calibrators:
            report = calibration_report(answers.calibrators, splits)
            written.calibration.write_text(json.dumps(report, indent=1) + "\n")
            save_reliability_figure(written.reliability, answers.calibrators, splits)
        raw = [request["features"] for request in requests]
        write_signature_files(data.problem, answers, raw, written)
        write_warmup(data.problem, raw, golden, written.warmup)
        write_task_warmup(data.problem, answers, raw, golden, written)
        if check is not None:
            check(written.path)
    return final


@contextmanager
def _tables(
    model: MultiTaskModel, data: PreparedData, form: str | None
) -> Iterator[tuple[dict[str, StoredTable], dict[str, Any]]]:
    """The tables in a form and what they save and cost; while it is open, the model answers as with them."""
    if form is None:
        yield {}, {}
        return
    from tfmtl.training.evaluate import predict  # loads the layers

    before = predict(model, data, FITTED_ON)
    with small_tables(model, form) as stored:
        yield stored, table_report(form, stored, data, before, predict(model, data, FITTED_ON))


def _answers(data: PreparedData, options: ExportOptions) -> Answers:
    """The outputs without calibrators, checked."""
    known = [task.name for task in data.problem.tasks]
    tasks = tuple(known) if options.tasks is None else options.tasks
    for task in tasks:
        check_one_of("export", "tasks", task, known)
    if len(set(tasks)) < len(tasks):
        raise ValueError(error_text("export", "tasks", "be distinct", tasks, "Name each once."))
    if not tasks and not options.scores:
        raise ValueError(error_text("export", "tasks", "leave an output", tasks, "Name a task or a score."))
    taken = [name for task in data.problem.tasks for name in task.output_names]
    for name in options.scores:
        if not _NAME.fullmatch(name) or name in taken:
            rule = "have a name of letters, digits and underscores that is no task's"
            raise ValueError(error_text("export", "scores", rule, name, "Rename the score, as in 'value=click*buy'."))
    records = tuple(data.problem.task(task) for task in tasks)
    return Answers(records, {name: Score(text, known) for name, text in options.scores.items()})


def _predictions(model: MultiTaskModel, data: PreparedData) -> dict[str, dict[str, Any]]:
    """The model's predictions for the splits that calibration uses."""
    from tfmtl.training.evaluate import predict  # loads the layers

    return {split: predict(model, data, split) for split in (FITTED_ON, "test")}
