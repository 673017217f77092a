"""Writing a model version that a server can take."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from tfmtl.core.step_folders import EXPORTED, check_output_folder
from tfmtl.core.validation import check_positive_int, error_text
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import parse_encoded_examples, raw_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.serving_module import SERVE, ServingModule
from tfmtl.export.warmup import write_warmup

if TYPE_CHECKING:  # whoever replays an export must not need the layers
    from tfmtl.models import MultiTaskModel

EXTRA = "assets.extra"
GOLDEN_FILE = "golden.jsonl"
PROBLEM_FILE = "problem.yaml"


def export(
    model: MultiTaskModel,
    data: PreparedData,
    directory: str | Path,
    version: int | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Writes `<directory>/<version>/` and returns it.

    The SavedModel takes raw features (signatures `serving_default` and `serve_examples`, see `ServingModule`). Beside
    it, in `assets.extra/`: `problem.yaml`; `golden.jsonl`, real requests with the answers of the training graph, for
    `verify`; `tf_serving_warmup_requests`. Written under another name and renamed, so that a server that watches the
    directory never sees half a version.

    Args:
        model: a trained `MultiTaskModel`.
        data: the `PreparedData` it was trained on.
        directory: base directory of the model's versions.
        version: int. Defaults to one above the newest, 1 at first.
        check: called with the complete folder before it gets its name, such as `verify`; what it raises keeps the
            version from appearing. Defaults to no check.

    Raises:
        ValueError: the model was trained on other data, the version is not positive or exists, or the directory is
            another step's output.
        TypeError: the version is not an int.
    """
    data.check_fitted_for("export", model.inputs)
    directory = Path(directory)
    check_output_folder("export", "directory", directory, EXPORTED)
    directory.mkdir(parents=True, exist_ok=True)
    version = max(existing_versions(directory), default=0) + 1 if version is None else version
    check_positive_int("export", "version", version, "Leave it out for the next one.")
    final = directory / str(version)
    if final.exists():
        raise ValueError(
            error_text("export", "version", "not exist yet", version, f"Remove '{final}' or take another.")
        )
    partial = directory / f".{version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    module = ServingModule(model, data.transform(), data.problem)
    tf.saved_model.save(module, str(partial), signatures=module.signatures())
    extra = partial / EXTRA
    extra.mkdir()
    data.problem.save(extra / PROBLEM_FILE)
    requests = data.requests()
    _write_golden(model, data, requests, extra / GOLDEN_FILE)
    features = to_tensors([request["features"] for request in requests], raw_signature(data.problem))
    write_warmup(data.problem.name, SERVE, features, extra)
    if check is not None:
        check(partial)
    os.rename(partial, final)
    return final


def existing_versions(directory: Path) -> list[int]:
    """The complete versions below `directory`."""
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit() and path.is_dir())


def _write_golden(model: MultiTaskModel, data: PreparedData, requests: list[dict[str, object]], path: Path) -> None:
    """Requests with what the training graph says of their records."""
    records = tf.constant([request["record"] for request in requests])
    features, _, _ = parse_encoded_examples(data.problem, records)
    outputs = model.predict(features, verbose=0)
    lines = []
    for row, request in enumerate(requests):
        response = {task: float(values[row]) for task, values in outputs.items()}
        lines.append(json.dumps({"features": request["features"], "response": response}, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
