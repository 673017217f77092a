"""Raw requests from a file through an exported model."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tfmtl.folders import ExportedVersion
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.shown import shown

_BATCH = 1024
_LARGEST = 2**127  # what float32 holds


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
    rows = [(number, _read(line, number, signature)) for number, line in _lines(requests)]
    for start in range(0, len(rows), _BATCH):
        numbers, batch = zip(*rows[start : start + _BATCH], strict=True)
        outputs = serve(**to_tensors(batch, signature, partial(_place, numbers)))
        for row in range(len(batch)):
            yield {task: values[row].numpy().tolist() for task, values in outputs.items()}


def _place(numbers: Sequence[int], row: int) -> str:
    return f"predict: line {numbers[row]}"


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
    for name in signature:
        if name not in request:
            hint = did_you_mean(name, list(request))
            raise ValueError(f"predict: line {number} lacks feature '{name}'. It needs: {sorted(signature)}.{hint}")
    return {name: _number(request[name], spec) for name, spec in signature.items()}


def _number(value: Any, spec: Any) -> Any:
    """A whole number of a feature of floats as a float: JSON has one kind of number."""
    if spec.dtype.name != "float32":
        return value
    if isinstance(value, list):
        return [_number(item, spec) for item in value]
    return float(value) if type(value) is int and abs(value) < _LARGEST else value
