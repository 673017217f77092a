"""Raw requests from a file through an exported model."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfmtl.core.validation import did_you_mean
from tfmtl.folders import ExportedVersion
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema.shown import shown
from tfmtl.schema.spelling import spelled
from tfmtl.schema.strict import JOINT

_BATCH = 1024
_VALUES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str, int, float), 'text, "" where it is missing'),
    "float32": ((int, float), "numbers, NaN where one is missing"),
    "int64": ((int,), "whole numbers"),
}


def score_requests(model: Path, requests: Path) -> Iterator[dict[str, Any]]:
    """Yields `{output: number or list of numbers}` for every line of `requests`.

    Args:
        model: folder of an exported model's versions; the newest one answers.
        requests: JSON lines, one object of raw features per line, or such an object under the key `features`; packed if
            the name ends in `.gz`.

    Raises:
        FileNotFoundError: there is no version, or no file of requests.
        ValueError: a line is no object or a feature is missing, misshapen or of another type; names line and feature.
    """
    import tensorflow as tf

    from tfmtl.export.raw_batch import to_tensors

    versions = find_versions(model) if model.is_dir() else {}
    if not versions:
        raise FileNotFoundError(f"predict: '{model}' holds no version. Give the output folder of `tfmtl export`.")
    version = ExportedVersion(versions[max(versions)])
    version.check_format("predict")
    serve = tf.saved_model.load(str(version.path)).signatures["serving_default"]
    signature = serve.structured_input_signature[1]
    rows = [_read(line, number, signature) for number, line in _lines(requests)]
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        outputs = serve(**to_tensors(batch, signature))
        for row in range(len(batch)):
            yield {task: values[row].numpy().tolist() for task, values in outputs.items()}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    # A byte order mark, which editors of Windows write, is no part of the first line.
    open_ = gzip.open if path.suffix == ".gz" else open
    try:
        with open_(path, "rt", encoding="utf-8-sig") as lines:
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(
            f"predict: '{path}' is not a complete gzip file: {error}. Pack it again, or rename it."
        ) from error


def _read(line: str, number: int, signature: Mapping[str, Any]) -> dict[str, Any]:
    try:
        request: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"predict: line {number} is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ValueError(f"predict: line {number} must be an object of features. Received: {shown(request)}.")
    if "features" not in signature and isinstance(request.get("features"), dict):
        request = request["features"]  # as in a data folder's own requests
    for name, spec in signature.items():
        if name not in request:
            hint = did_you_mean(name, list(request))
            raise ValueError(f"predict: line {number} lacks feature '{name}'. It needs: {sorted(signature)}.{hint}")
        _check(f"predict: line {number}: feature '{name}'", request[name], spec)
    _check_aligned(number, request, signature)
    return {name: _written(request[name], spec) for name, spec in signature.items()}


def _check(where: str, value: Any, spec: Any) -> None:
    """Raises unless `value` is a value or a list of values that the tensor takes."""
    items = [value]
    for _ in range(spec.shape.rank - 1):
        if not all(isinstance(item, list) for item in items):
            wanted = "a list" if spec.shape.rank == 2 else "a list of lists"
            raise ValueError(f"{where} must be {wanted}. Received: {shown(value)}.")
        items = [inner for item in items for inner in item]
    if any(isinstance(item, list) for item in items):
        wanted = "one value" if spec.shape.rank == 1 else "a list of single values"
        raise ValueError(f"{where} must be {wanted}. Received: {shown(value)}.")
    types, wanted = _VALUES[spec.dtype.name]
    for item in items:
        is_too_large = isinstance(item, int) and spec.dtype.name != "string" and not -(2**63) <= item < 2**63
        if (isinstance(item, bool) and str not in types) or not isinstance(item, types) or is_too_large:
            raise ValueError(f"{where} must hold {wanted}. Received: {shown(item)} ({type(item).__name__}).")


def _written(value: Any, spec: Any) -> Any:
    """Numbers of a text feature as preprocessing writes a log's."""
    if spec.dtype.name != "string":
        return value
    if isinstance(value, list):
        return [_written(item, spec) for item in value]
    return value if isinstance(value, str) else spelled(value)


def _check_aligned(number: int, request: Mapping[str, Any], signature: Mapping[str, Any]) -> None:
    """Raises unless all columns of a sequence have one length: position by position they are one event."""
    lengths: dict[str, dict[str, int]] = {}
    for name in signature:
        sequence, joint, _ = name.partition(JOINT)
        if joint:
            lengths.setdefault(sequence, {})[name] = len(request[name])
    for sequence, columns in lengths.items():
        if len(set(columns.values())) > 1:
            raise ValueError(
                f"predict: line {number}: the features of sequence '{sequence}' must have one length, an entry an "
                f"event. Received: {columns}."
            )
