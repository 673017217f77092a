"""What can be learned from a planted log by a model with room for everything: logistic regressions on event counts."""

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from tfmtl.metrics import roc_auc
from tfmtl.pipelines.datasets.planted import PLANTED_TASKS

_STRENGTHS = (0.03, 0.3)  # of the regularization, inverse; the better one on validation counts
_COUNT_SCALE = 3.0  # brings the counts to the size of the other columns
_EVENTS = 10


def counted_auc(log: pa.Table) -> dict[str, float]:
    """Task -> test AUC of a logistic regression on the fields and on the items of each behavior's last 10 events.

    It can say whatever a mean over events can, for a log of `planted_log(rule="readings")`; so what it lacks to the
    best possible AUC is the price of having no more rows.
    """
    tasks = [task for task in PLANTED_TASKS if task in log.column_names]
    inputs, split = _design(log, tasks), np.array(log["split"].to_pylist())
    found = {}
    for task in tasks:
        labels, tried = log[task].to_numpy(), []
        for strength in _STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=60).fit(inputs[split == "train"], labels[split == "train"])
            scores = model.decision_function(inputs)
            tried.append([roc_auc(labels[split == part], scores[split == part]) for part in ("valid", "test")])
        found[task] = max(tried)[1]
    return found


def _design(log: pa.Table, tasks: list[str]) -> np.ndarray:
    columns = {name: log[name].to_numpy() for name in ("user_id", "item_id", "segment", "category", "hour", *tasks)}
    segments, categories, hours, items = (columns[name] for name in ("segment", "category", "hour", "item_id"))
    num_categories, num_items = categories.max() + 1, items.max() + 1
    hour_start = (segments.max() + 1) * num_categories
    start = hour_start + 24
    inputs = np.zeros((log.num_rows, start + (len(tasks) + 1) * num_items), np.float32)
    rows = np.arange(log.num_rows)
    inputs[rows, segments * num_categories + categories] = inputs[rows, hour_start + hours] = 1.0
    happened = np.stack([np.ones(log.num_rows, int), *(columns[task] for task in tasks)], axis=1)
    past: dict[int, list[list[int]]] = {}
    for row, user in enumerate(columns["user_id"]):
        for behavior, events in enumerate(past.setdefault(user, [[] for _ in range(len(tasks) + 1)])):
            last = events[-_EVENTS:]
            for item in last:
                inputs[row, start + num_items * behavior + item] += _COUNT_SCALE / len(last)
            if happened[row, behavior]:
                events.append(items[row])
    return inputs
