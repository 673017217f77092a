"""Golden requests: real requests with the training graph's answers, for `verify`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.data.example_spec import (
    are_packed,
    candidate_features,
    candidate_tensors,
    parse_encoded_examples,
    raw_signature,
)
from tfmtl.data.raw_transform import RawTransform
from tfmtl.export.answers import Answers
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.serving_module import RANK, SERVE, SERVE_EXAMPLES
from tfmtl.folders import ExportedVersion
from tfmtl.schema import Problem

if TYPE_CHECKING:  # replaying an export must not load the layers
    from tfmtl.models import MultiTaskModel

Responses: TypeAlias = dict[str, npt.NDArray[np.float64]]

_USERS = 4  # whose candidates are ranked


def write_golden(
    model: MultiTaskModel,
    problem: Problem,
    transform: RawTransform,
    requests: Sequence[Mapping[str, Any]],
    answers: Answers,
    version: ExportedVersion,
) -> dict[str, Responses]:
    """Writes the requests with what the training graph says of their records, and `answers` in NumPy of that.

    Where there are features of candidates, also rankings: the users of the first requests with the items of all. The
    training graph scores them as so many examples, put together of the records.

    Args:
        model: `MultiTaskModel`.
        problem: `Problem`.
        transform: the `RawTransform` of the export.
        requests: as `PreparedData.requests` returns them.
        answers: `Answers`.
        version: whose files they are.

    Returns:
        Signature -> what it has to answer to the requests, output name -> `(rows, *inner)`: to rank them, they are
        candidates of the first one's user.
    """
    records = [request["record"] for request in requests]
    encoded, _, _ = parse_encoded_examples(problem, tf.constant(records), are_packed(records))
    raw = [dict(request["features"]) for request in requests]
    responses: Responses = answers.of_arrays(model.predict(encoded, verbose=0))
    lines = [
        {"features": features, "response": {name: values[row].tolist() for name, values in responses.items()}}
        for row, features in enumerate(raw)
    ]
    _write(version.golden, lines)
    golden = {SERVE: responses, SERVE_EXAMPLES: responses}
    candidates = candidate_features(problem)
    if not candidates:
        return golden
    items = [{name: features[name] for name in candidates} for features in raw]
    users = [{name: value for name, value in features.items() if name not in candidates} for features in raw[:_USERS]]
    crossed = _crossed(problem, transform, encoded, users, items)
    ranked = answers.of_arrays(model.predict(crossed, batch_size=len(items), verbose=0))
    rankings = []
    for row, user in enumerate(users):
        rows = slice(row * len(items), (row + 1) * len(items))
        response = {name: values[rows].tolist() for name, values in ranked.items()}
        rankings.append({"user": user, "candidates": items, "response": response})
    _write(version.golden_rank, rankings)
    return {**golden, RANK: {name: values[: len(items)] for name, values in ranked.items()}}


def _crossed(
    problem: Problem,
    transform: RawTransform,
    encoded: Mapping[str, tf.Tensor],
    users: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Every user's tensors with every item's, of records of which no two need belong together.

    What is derived from both sides stands in no record and is computed for the pair.
    """
    of_item = candidate_tensors(problem)
    crossed = {
        name: np.concatenate([values] * len(users))
        if name in of_item
        else np.repeat(values[: len(users)], len(items), axis=0)
        for name, values in encoded.items()
    }
    pairs = [
        feature
        for feature in problem.features
        if not feature.inputs() and any(each.side == "item" for each in feature.tensors(problem))
    ]
    if pairs:
        requests = [{**user, **item} for user in users for item in items]
        found = transform.encode_parts(to_tensors(requests, raw_signature(problem)), pairs)
        crossed |= {name: values.numpy() for name, values in found.items()}
    return crossed


def _write(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
