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
from tfmtl.metrics.bootstrap import group_numbers, percentile_interval, resampled_rows
from tfmtl.retrieval.items import read_items
from tfmtl.retrieval.recall import Positives, positives
from tfmtl.retrieval.retrieval_module import SCORE
from tfmtl.retrieval.sides import item_features, pair_features
from tfmtl.schema.checks import check_positive_int, error_text
from tfmtl.schema.reserved import RESERVED_IDS

Floats = npt.NDArray[np.float64]
_RANKED = 8192  # items at a time, of all users together
_RESAMPLES = 1000

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
        `recall`, the share whose item is among the k first, `ndcg`, the mean of `1 / log2(1 + place)` of these, and
        `lead_low` to `lead_high`, the 95 % interval of what `ndcg` is above that of the first of `orders` on the same
        rows (bootstrap of whole groups, such as users).

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
    transform, of_item = data.transform(), item_features(data.problem)
    items = transform.encode_parts(raw_items, [feature for feature in of_item if feature.name != SCORE])
    of_score = [feature for feature in of_item if feature.name == SCORE]
    loaded = tf.saved_model.load(str(retrieval))
    search = loaded.search_encoded_unseen if exclude_seen else loaded.search_encoded

    @tf.function(autograph=False, reduce_retracing=True)
    def rank(user: Mapping[str, tf.Tensor], candidates: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        of_each = tf.shape(candidates[item])[0] // tf.shape(next(iter(user.values())))[0]
        repeated = {name: tf.repeat(values, of_each, axis=0) for name, values in user.items()}
        outputs: Mapping[str, tf.Tensor] = model({**repeated, **candidates}, training=False)
        return outputs

    gains: dict[str, list[Floats]] = {text: [] for text in orders}
    found: list[npt.NDArray[np.bool_]] = []
    groups: list[npt.NDArray[Any]] = []
    for user, truth, groups_of_rows in _drawn(data, split, task, item, queries, seed):
        nearest = search(user, tf.constant(max(k, candidates)))
        groups.append(groups_of_rows)
        step = max(1, _RANKED // int(nearest.rows.shape[1]))
        for start in range(0, len(truth), step):
            rows, logits, is_item = (part[start : start + step].numpy() for part in nearest)
            some = {name: values[start : start + step] for name, values in user.items()}
            listed = {name: tf.gather(values, rows.ravel()) for name, values in items.items()}
            ranked = rank(some, listed | transform.encode_parts({SCORE: logits.ravel()}, of_score))
            outputs = {name: values.numpy().reshape(rows.shape) for name, values in ranked.items() if values.ndim == 1}
            outputs[SCORE] = tf.nn.softmax(np.where(is_item, logits, logits.dtype.type(-np.inf)), axis=1).numpy()
            own = truth[start : start + step, np.newaxis]
            is_true = (tf.gather(items[item], rows).numpy() == own) & (own >= RESERVED_IDS) & is_item
            found.append(is_true.any(axis=1))
            for text, score in scores.items():
                order = np.where(is_item, score.value(outputs), -np.inf)
                first = np.argsort(-order, axis=1, kind="stable")[:, :k]
                gains[text].append(_gains(np.take_along_axis(is_true, first, axis=1)))
    by_order = {text: np.concatenate(parts) for text, parts in gains.items()}
    numbers = group_numbers(np.concatenate(groups))
    base = by_order[orders[0]]
    return {
        "queries": len(base),
        "found": float(np.concatenate(found).mean()),
        "orders": {text: _metrics(own, base, numbers, seed) for text, own in by_order.items()},
    }


def _drawn(data: PreparedData, split: str, task: str, item: str, queries: int, seed: int) -> Iterator[Positives]:
    """Some positive rows of a split, in the order of the files."""
    facts = data.manifest["splits"][split]["tasks"][task]
    total = round(facts["labels"] * (facts["mean"] or 0.0))
    if not total:
        rule = f"have positive rows of '{task}'"
        raise ValueError(error_text("two_stage_quality", "split", rule, split, "Take another split."))
    is_drawn = np.zeros(total, bool)
    is_drawn[np.random.default_rng(seed).choice(total, min(queries, total), replace=False)] = True
    start = 0
    for user, truth, groups in positives(data, split, task, item):
        chosen = np.flatnonzero(is_drawn[start : start + len(truth)])
        start += len(truth)
        some = {name: tf.gather(values, chosen) for name, values in user.items()}
        yield Positives(some, truth[chosen], groups[chosen])


def _gains(is_true: npt.NDArray[np.bool_]) -> Floats:
    """`1 / log2(1 + place)` of the first place, from 1, that holds what was looked for; 0 where none does."""
    return np.asarray((is_true / np.log2(2.0 + np.arange(is_true.shape[1]))).max(axis=1))


def _metrics(gains: Floats, base: Floats, groups: npt.NDArray[np.int64], seed: int) -> dict[str, float]:
    lead = gains - base
    means = [float(lead[rows].mean()) for rows in resampled_rows(len(base), groups, _RESAMPLES, seed)]
    low, high = percentile_interval(means) or (float("nan"), float("nan"))
    return {"recall": float((gains > 0).mean()), "ndcg": float(gains.mean()), "lead_low": low, "lead_high": high}
