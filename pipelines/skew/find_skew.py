"""Everything that `tfmtl skew` looks at, in one pass over the logs."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.core import drift
from tfmtl.data.feature_profile import ColumnDrift
from tfmtl.export.verify import TOLERANCE
from tfmtl.folders import ExportedVersion, TrainedRun
from tfmtl.pipelines.skew.exported_model import ExportedModel
from tfmtl.pipelines.skew.logged_requests import LogFolder, LoggedRequest
from tfmtl.pipelines.skew.score_check import ScoreCheck
from tfmtl.pipelines.skew.served_features import Arrays, ServedFeatures, repeat_user
from tfmtl.serving.server.request_times import RequestTimes

_BATCH = 1024


@dataclass(frozen=True)
class SkewOptions:
    """What to compare with, and what is too much.

    Args:
        version: int or None. Whose reference to take. Defaults to None, the newest.
        data: Path or None. Data folder to take as the reference. Defaults to None, what the export carries.
        run: Path or None. Output folder of `tfmtl train`, whose model is to answer too. Defaults to None.
        max_psi: float. Largest population stability index of a column. Defaults to `0.25`.
        max_difference: float. Largest difference of a score. Defaults to `1e-5`.
        max_requests: int or None. Requests to look at. Defaults to None, all.
    """

    version: int | None = None
    data: Path | None = None
    run: Path | None = None
    max_psi: float = drift.SHIFTED
    max_difference: float = TOLERANCE
    max_requests: int | None = None


@dataclass
class Skew:
    """What was found.

    Attributes:
        requests: int. Logged requests looked at.
        rows: int. Rows they asked to score.
        reference: int. Version whose training data they are compared with.
        reference_rows: int. Training rows in the reference.
        drifts: list of `ColumnDrift`, the farthest first.
        graphs: version -> `ScoreCheck` against its SavedModel.
        training: `ScoreCheck` of all versions against the training graph, or None.
        unchecked: version -> requests whose scores could not be computed here.
        foreign: int. Requests whose features are not the model's.
        logged: first and last second in the logs, or None.
        times: first and last time that requests say they were made, in the log's unit, or None.
        odd_times: what cannot be meant so of the requests' times -> rows: `wrong_unit`, `event_after_request`.
        warnings: list of str.
    """

    reference: int
    reference_rows: int
    requests: int = 0
    rows: int = 0
    drifts: list[ColumnDrift] = field(default_factory=list)
    graphs: dict[int, ScoreCheck] = field(default_factory=dict)
    training: ScoreCheck | None = None
    unchecked: Counter[str] = field(default_factory=Counter)
    foreign: int = 0
    logged: tuple[int, int] | None = None
    times: tuple[int, int] | None = None
    odd_times: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def shifted(self, max_psi: float) -> list[ColumnDrift]:
        """The columns beyond the limit and beyond chance."""
        return [each for each in self.drifts if each.exceeds(max_psi)]

    @property
    def scores_are_right(self) -> bool:
        """Whether no score that was computed anew is off."""
        checks = [*self.graphs.values(), *([self.training] if self.training else [])]
        return all(check.is_passed for check in checks)

    def to_dict(self, max_psi: float) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "requests": self.requests,
            "rows": self.rows,
            "foreign_requests": self.foreign,
            "logged": self.logged,
            "request_times": self.times,
            "odd_time_rows": dict(self.odd_times),
            "reference": {"version": self.reference, "rows": self.reference_rows},
            "columns": {
                each.name: {
                    "psi": None if math.isnan(each.psi) else each.psi,
                    "chance": each.chance,
                    "chance_limit": each.chance_limit,
                    "exceeds": each.exceeds(max_psi),
                    "rows": each.rows,
                    "missing": each.missing,
                    "out_of_vocabulary": each.out_of_vocabulary,
                    "length": each.length,
                }
                for each in self.drifts
            },
            "scores": {str(version): check.to_dict() for version, check in sorted(self.graphs.items())},
            "training_graph": None if self.training is None else self.training.to_dict(),
            "unchecked_requests": dict(self.unchecked),
            "warnings": self.warnings,
        }


def find_skew(logs: Path, model: Path, options: SkewOptions) -> Skew:
    """Compares logged requests with the training data, and logged scores with the graph's.

    A request to rank counts its user once and each of its candidates.

    Args:
        logs: folder of TFRecords of `PredictionLog`.
        model: output folder of `tfmtl export`.
        options: `SkewOptions`.

    Raises:
        FileNotFoundError: there are no logs, no version, or no run.
        ValueError: the logs hold no Predict request, or none of this model's.
    """
    folder = LogFolder(logs)
    exported = ExportedModel(model, options.version, options.data)
    features = ServedFeatures(exported.inputs, exported.transform)
    skew = Skew(exported.version, exported.profile.examples)
    graphs = _Graphs(exported, skew, options.max_difference)
    most = options.max_difference
    training = None if options.run is None else _TrainingGraph(exported, features, options.run, most)
    time_key = exported.inputs.problem.keys.time
    times = RequestTimes.load(exported.versions[exported.version])
    for request in folder.requests():
        if skew.requests == options.max_requests:
            break
        skew.requests += 1
        raw = features.raw(request)
        if raw is None:
            skew.foreign += 1
            continue
        skew.rows += features.add(raw)
        graphs.check(request)
        if training is not None:
            training.add(raw, request.outputs)
        if request.seconds:
            skew.logged = _widened(skew.logged, np.array([request.seconds]))
        if time_key in raw:
            skew.times = _widened(skew.times, raw[time_key])
            if times is not None:
                skew.odd_times += Counter({what: int(rows.sum()) for what, rows in times.odd_rows(raw).items()})
    if not skew.rows:
        raise ValueError(
            f"skew: '{logs}' must hold Predict requests to this model. Received: {skew.foreign} of another one, "
            f"{folder.others} records of another kind. {' '.join(folder.warnings)}".rstrip()
        )
    features.flush()
    skew.drifts = exported.profile.compare(features.counts)
    if training is not None:
        skew.training = training.finished()
    skew.warnings = folder.warnings
    return skew


def _widened(span: tuple[int, int] | None, values: np.ndarray) -> tuple[int, int] | None:
    if not values.size:
        return span
    low, high = int(values.min()), int(values.max())
    return (low, high) if span is None else (min(span[0], low), max(span[1], high))


class _Graphs:
    """The SavedModels of the versions that answered, loaded as they are met."""

    def __init__(self, exported: ExportedModel, skew: Skew, tolerance: float) -> None:
        self._exported = exported
        self._skew = skew
        self._tolerance = tolerance
        self._loaded: dict[int, Any] = {}

    def check(self, request: LoggedRequest) -> None:
        version = request.version
        if version not in self._exported.versions or version is None:
            self._skew.unchecked["unknown version" if version is None else f"version {version} is not here"] += 1
            return
        if version not in self._loaded:
            self._loaded[version] = tf.saved_model.load(str(self._exported.versions[version]))
        function = self._loaded[version].signatures.get(request.signature)
        if function is None:
            self._skew.unchecked[f"version {version} has no signature {request.signature}"] += 1
            return
        specs = function.structured_input_signature[1]
        try:
            outputs = function(**{name: tf.constant(request.inputs[name], spec.dtype) for name, spec in specs.items()})
        except (tf.errors.OpError, KeyError, TypeError, ValueError) as error:
            self._skew.unchecked[f"version {version} refuses it: {type(error).__name__}"] += 1
            return
        check = self._skew.graphs.setdefault(version, ScoreCheck(self._tolerance))
        check.add(request.outputs, {name: value.numpy() for name, value in outputs.items()})


class _TrainingGraph:
    """The Keras model of a run, asked in batches; calibrated tasks and composed scores are not its outputs."""

    def __init__(self, exported: ExportedModel, features: ServedFeatures, folder: Path, most: float) -> None:
        from tfmtl.models import load

        run = TrainedRun(folder)
        run.read_record("skew")
        self._model = load(run.model)
        calibration = ExportedVersion(exported.versions[exported.version]).calibration
        calibrated = json.loads(calibration.read_text()) if calibration.is_file() else {}
        self._tasks = [task for task in exported.inputs.task_names if task not in calibrated]
        self._features = features
        self._check = ScoreCheck(most)
        self._waiting: list[tuple[Arrays, Arrays]] = []
        self._rows = 0

    def add(self, raw: Arrays, outputs: Arrays) -> None:
        whole = repeat_user(raw)
        self._waiting.append((whole, outputs))
        self._rows += len(next(iter(whole.values())))
        if self._rows >= _BATCH:
            self._ask()

    def finished(self) -> ScoreCheck:
        if self._waiting:
            self._ask()
        return self._check

    def _ask(self) -> None:
        encoded = self._features.encode([raw for raw, _ in self._waiting])
        predicted = self._model.predict_on_batch(encoded)
        start = 0
        for raw, outputs in self._waiting:
            rows = slice(start, start + len(next(iter(raw.values()))))
            start = rows.stop
            self._check.add(outputs, {task: np.asarray(predicted[task])[rows].reshape(-1) for task in self._tasks})
        self._waiting, self._rows = [], 0
