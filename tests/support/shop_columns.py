"""A log as shops keep it."""

from typing import Any

import numpy as np

ROWS = 400


def shop_columns(rows: int = ROWS) -> dict[str, Any]:
    """A log as shops keep it: 20 users, 30 items of 3 kinds."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, rows), rng.integers(0, 30, rows)
    click = (rng.random(rows) < 0.4).astype(int)
    return {
        "row_id": np.arange(rows),
        "user_id": users + 1000,
        "viewItemID": [f"i{item}" for item in items],
        "ts": 1_600_000_000_000 + np.sort(rng.integers(0, 10**9, rows)),
        "country": np.array(["NL", "ES", "FR"])[users % 3],
        "kind": items % 3,
        "tags": [f"t{item % 4};t{item % 7}" for item in items],
        "price": np.round(np.exp(rng.normal(3, 1, rows)), 2),
        "age": np.round(rng.normal(50, 8, rows), 1),
        "visits": np.where(rng.random(rows) < 0.7, 0, rng.integers(1, 900, rows)),
        "title": [f"a long title of {n} words about item {n * 7919 % rows}" for n in range(rows)],
        "shop": "one",
        "empty": [None] * rows,
        "click": click,
        "is_buy": click * (rng.random(rows) < 0.5),
        "watch_seconds": np.round(rng.exponential(9, rows), 2),
    }
