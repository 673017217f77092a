"""Quality of the lists of two stages, compared with retrieval alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.export.score import Score
from tfmtl.folders import ExportedVersion
from tfmtl.retrieval.items import read_items
from tfmtl.retrieval.recall import positives
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.retrieval.sides import item_features, pair_features
from tfmtl.schema.checks import check_positive_int, error_text
from tfmtl.schema.reserved import RESERVED_IDS

if TYPE_CHECKING:  # the process that trains retrieval has no use for the layers
    from tfmtl.models import MultiTaskModel


def two_stage_quality(
    model: MultiTaskModel,
    data: PreparedData,
    retrieval: str | Path,
    orders: Sequence[str],
    *,
    split: str = "test",
    candidates: int = 100,
    k: int = 10,
    exclude_seen: bool = False,
    queries: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Asks for lists with what was known at some positive rows of a split, and looks for the row's item in them.

    Both stages are called on encoded features, as training sees them, and the model's predictions are not calibrated;
    otherwise the lists are those of the joined SavedModel.

    Args:
        model: the ranking's `MultiTaskModel`.
        data: the `PreparedData` of both.
        retrieval: a version that `fit_retrieval` wrote.
        orders: expressions over the tasks and `retrieval`, as `ComposeOptions.order_by`; `"retrieval"` alone is what
            the first stage does without the second.
        split: str. Defaults to `"test"`.
        candidates: int. Number of items that retrieval passes to the ranking. Defaults to `100`.
        k: int. Length of the lists. Defaults to `10`.
        exclude_seen: whether the items of the histories are left out. Defaults to `False`.
        queries: int. Positive rows to ask for, drawn at random, or all. Defaults to `1000`.
        seed: of drawing them. Defaults to `0`.

    Returns:
        `queries`, their number; `found`, the share whose item is among the candidates; `orders`: expression ->
        `recall`, the share whose item is among the k first, and `ndcg`, the mean of `1 / log2(1 + place)` of these.

    Raises:
        ValueError: the split has no positive row, an expression cannot be read, a number is not positive, or the
            problem has features of a user and an item together (`match`), which encoded features of each alone
            do not tell.
    """
    if pairs := [feature.name for feature in pair_features(data.problem)]:
        rule = "have no feature of a user and an item together"
        advice = "Such features are computed from raw requests: ask the joined SavedModel, or train without them."
        raise ValueError(error_text("two_stage_quality", "data", rule, pairs, advice))
    for argument, value in (("candidates", candidates), ("k", k), ("queries", queries)):
        check_positive_int("two_stage_quality", argument, value)
    index = ExportedVersion(retrieval)
    record = json.loads(index.retrieval.read_text())
    task, item = record["task"], record["item"]
    tasks = [each.name for each in data.problem.tasks]
    scores = {text: Score(text, [*tasks, SCORE]) for text in orders}
    raw_items = read_items(data.problem, index.items)
    items = data.transform().encode_parts(raw_items, item_features(data.problem))
    loaded = tf.saved_model.load(str(retrieval))
    search = loaded.search_encoded_unseen if exclude_seen else loaded.search_encoded

    @tf.function(autograph=False)
    def rank(user: Mapping[str, tf.Tensor], candidates: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        outputs: Mapping[str, tf.Tensor] = model({**user, **candidates}, training=False)
        return outputs

    places: dict[str, list[int]] = {text: [] for text in orders}  # counted from 1; 0 where it is not in the list
    found = 0
    for user, truth in _drawn(data, split, task, item, queries, seed):
        nearest = search(user, tf.constant(max(k, candidates)))
        for row in range(len(truth)):
            rows, is_item = nearest.rows[row], nearest.is_item[row].numpy()
            one = {name: values[row : row + 1] for name, values in user.items()}
            ranked = rank(one, {name: tf.gather(values, rows) for name, values in items.items()})
            outputs = {name: values.numpy()[is_item] for name, values in ranked.items()}
            outputs[SCORE] = tf.nn.softmax(nearest.scores[row].numpy()[is_item]).numpy()
            ids = tf.gather(items[item], rows).numpy()[is_item]
            is_true = (ids == truth[row]) & (truth[row] >= RESERVED_IDS)
            found += bool(is_true.any())
            for text, score in scores.items():
                first = np.argsort(-score.value(outputs), kind="stable")[:k]
                hits = np.flatnonzero(is_true[first])
                places[text].append(int(hits[0]) + 1 if len(hits) else 0)
    count = len(next(iter(places.values())))
    return {
        "queries": count,
        "found": found / count,
        "orders": {text: _metrics(np.array(values)) for text, values in places.items()},
    }


def _drawn(
    data: PreparedData, split: str, task: str, item: str, queries: int, seed: int
) -> Iterator[tuple[dict[str, tf.Tensor], npt.NDArray[np.int32]]]:
    """Some positive rows of a split, in the order of the files."""
    facts = data.manifest["splits"][split]["tasks"][task]
    total = round(facts["labels"] * (facts["mean"] or 0.0))
    if not total:
        rule = f"have positive rows of '{task}'"
        raise ValueError(error_text("two_stage_quality", "split", rule, split, "Take another split."))
    is_drawn = np.zeros(total, bool)
    is_drawn[np.random.default_rng(seed).choice(total, min(queries, total), replace=False)] = True
    start = 0
    for user, truth in positives(data, split, task, item):
        chosen = np.flatnonzero(is_drawn[start : start + len(truth)])
        start += len(truth)
        yield {name: tf.gather(values, chosen) for name, values in user.items()}, truth[chosen]


def _metrics(places: npt.NDArray[np.int64]) -> dict[str, float]:
    in_list = places > 0
    return {
        "recall": float(in_list.mean()),
        "ndcg": float(np.where(in_list, 1 / np.log2(1 + np.maximum(places, 1)), 0.0).mean()),
    }
