"""MovieLens-100K with the films a user rated before, the same arrays for every side of a comparison."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.speed.peer_data import encoded_column

_FIELDS = ("gender", "occupation", "age", "item_id")
_TASKS = ("like", "love")
_LENGTH = 20


def encode_sequences(log: Path, output: Path, seed: int = 0) -> dict[str, Any]:
    """Writes the encoded rows to `output` (.npz) and returns what a model has to know of them, as `encode` does.

    The file also holds `train_history` and `test_history`, int32 `(N, 20)`, the films before, oldest first and zeros
    behind them, and `train_lengths` and `test_lengths`, int32 `(N, 1)`. The first four fifths of the time are trained
    on.

    Args:
        log: `log.parquet` of `tfmtl datasets movielens_100k`.
        output: the file to write.
        seed: of the order of the training rows.

    Returns:
        What `encode` returns, `history`, the field whose ids the histories hold, and `length`.
    """
    rows = pq.read_table(log)
    rows = rows.take(pa.array(np.argsort(rows["timestamp"].to_numpy(), kind="stable")))
    is_train = np.arange(rows.num_rows) < 0.8 * rows.num_rows
    columns, sizes = zip(*(encoded_column(rows[name], is_train) for name in _FIELDS), strict=True)
    ids = np.stack(columns, axis=1)
    history, lengths = _histories(rows["user_id"].to_numpy(zero_copy_only=False), ids[:, _FIELDS.index("item_id")])
    labels = np.stack([rows[task].to_numpy() for task in _TASKS], axis=1).astype("float32")
    parts = {
        "train": np.random.default_rng(seed).permutation(np.flatnonzero(is_train)),
        "test": np.flatnonzero(~is_train),
    }
    arrays = {"ids": ids, "labels": labels, "history": history, "lengths": lengths}
    np.savez(output, **{f"{part}_{name}": some[own] for part, own in parts.items() for name, some in arrays.items()})
    return {
        "fields": list(_FIELDS),
        "rows": list(sizes),
        "tasks": list(_TASKS),
        "label_means": [float(mean) for mean in labels[is_train].mean(axis=0)],
        "history": "item_id",
        "length": _LENGTH,
    }


def _histories(users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    history = np.zeros((len(users), _LENGTH), "int32")
    lengths = np.zeros((len(users), 1), "int32")
    before: dict[Any, list[int]] = {}
    for row, (user, item) in enumerate(zip(users, items, strict=True)):
        seen = before.setdefault(user, [])
        history[row, : len(seen)] = seen
        lengths[row] = len(seen)
        before[user] = [*seen, item][-_LENGTH:]
    return history, lengths
