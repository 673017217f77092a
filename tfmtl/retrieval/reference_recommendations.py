"""The two stages called one after the other, in NumPy: the expected answers of `recommend`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.data.example_spec import candidate_features
from tfmtl.export.raw_batch import to_tensors
from tfmtl.export.score import Score
from tfmtl.retrieval.recommend_module import ORDER
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.schema import Problem


def reference_recommendation(
    problem: Problem,
    item: str,
    retrieve: Any,
    rank: Any,
    user: Mapping[str, Any],
    order_by: Score,
    candidates: int,
    k: int,
) -> dict[str, list[Any]]:
    """One user's list.

    Args:
        problem: `Problem`.
        item: str. The feature that identifies an item.
        retrieve: a retrieval signature.
        rank: the ranking's signature.
        user: raw features of the user side.
        order_by: `Score` over the ranking's outputs and `retrieval`.
        candidates: int.
        k: int.

    Returns:
        Output name of `recommend` -> its `min(k, items)` values.
    """
    tensors = to_tensors([user], {name: rank.structured_input_signature[1][name] for name in user})
    found = retrieve(**tensors, k=tf.constant(max(k, candidates)))
    kept = np.flatnonzero(found[item][0].numpy() != b"")
    items = {name: tf.gather(found[name][0], kept) for name in candidate_features(problem)}
    outputs = {
        name: values.numpy().astype(np.float64) for name, values in rank(**tensors, **items).items() if values.ndim == 1
    }
    logits = found[SCORE][0].numpy()[kept].astype(np.float64)
    shares = np.exp(logits - logits.max(initial=-np.inf))
    outputs[SCORE] = shares / shares.sum()
    outputs[ORDER] = order_by.value(outputs)
    best = np.argsort(-outputs[ORDER], kind="stable")[:k]
    padding = min(k, len(found[item][0])) - len(best)
    ids = [value.decode() for value in items[item].numpy()[best]]
    listed: dict[str, list[Any]] = {
        name: [*values[best].tolist(), *[0.0] * padding] for name, values in outputs.items()
    }
    return {item: [*ids, *[""] * padding], **listed}


def write_golden_recommendations(
    users: Sequence[Mapping[str, Any]], k: int, lists: Sequence[Mapping[str, Any]], path: Path
) -> None:
    """Writes the users with what `recommend` has to answer, for `verify`."""
    lines = [{"user": user, "k": k, "response": found} for user, found in zip(users, lists, strict=True)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
