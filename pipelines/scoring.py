"""Raw requests from a file through an exported model."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_BATCH = 1024


def score_requests(model: Path, requests: Path) -> Iterator[dict[str, float]]:
    """Yields `{task: score}` for every line of `requests`.

    Args:
        model: folder of an exported model's versions; the newest one answers.
        requests: JSON lines, one object of raw features a line.

    Raises:
        FileNotFoundError: there is no version, or no file of requests.
        ValueError: a line is no object or a feature is missing or misshapen; names line and feature.
    """
    import tensorflow as tf

    from tfmtl.export.raw_batch import to_tensors
    from tfmtl.export.saved_model import existing_versions

    versions = existing_versions(model) if model.is_dir() else []
    if not versions:
        raise FileNotFoundError(f"predict: '{model}' holds no version. Give the output folder of `tfmtl export`.")
    serve = tf.saved_model.load(str(model / str(versions[-1]))).signatures["serving_default"]
    signature = serve.structured_input_signature[1]
    rows = [_read(line, number, signature) for number, line in _lines(requests)]
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        outputs = serve(**to_tensors(batch, signature))
        for row in range(len(batch)):
            yield {task: float(values[row]) for task, values in outputs.items()}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as lines:
        yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _read(line: str, number: int, signature: Mapping[str, Any]) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"predict: line {number} is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ValueError(f"predict: line {number} must be an object of features. Received: {line.strip()[:80]!r}.")
    for name, spec in signature.items():
        if name not in request:
            raise ValueError(f"predict: line {number} lacks feature '{name}'. It needs: {sorted(signature)}.")
        if isinstance(request[name], list) != (spec.shape.rank == 2):
            wanted = "a list" if spec.shape.rank == 2 else "one value"
            raise ValueError(f"predict: line {number}: feature '{name}' must be {wanted}. Received: {request[name]!r}.")
    return request
