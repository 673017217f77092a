"""An example of a client: which of the ads that run now will stop within a week."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NUMBER = 500
DAYS = 7.0
_SHOWN = 3
_OLDEST = 60  # days
_SIGNATURE, _ANSWER = "survival_at_lifetime", "lifetime__survival"
_FEATURES = ("title", "banner", "genre", "ctr", "impressions", "clicks")


def chance_to_stop(client: Any, ads: list[Mapping[str, Any]], ages: np.ndarray, days: float) -> np.ndarray:
    """Of every running ad the chance that it stops within so many days, `(n,)`.

    Args:
        client: of the served model, over gRPC or REST.
        ads: the features of each, as the log holds them.
        ages: float32 `(n,)`, for how long each has been running, as the label counts it.
        days: float.
    """
    columns = {name: [ad[name] for ad in ads] for name in ads[0]}
    times = np.full((len(ads), 1), days, np.float32)
    answer = client.predict({**columns, "age": ages, "times": times}, signature_name=_SIGNATURE)
    return np.asarray(1.0 - answer[_ANSWER][:, 0])


def which_stop_soon(log: pa.Table, client: Any) -> list[str]:
    """Asks about 500 ads of the test split that run at a random age, and compares with what happened.

    Ages are drawn for all ads, whatever their lifetime, and those that do not run any more are left out: ages within
    the lifetime would be nearer to the end than those of ads that run at a moment.

    Args:
        log: rows of `creatives_log`.
        client: of the served model.

    Returns:
        list of str: lines to print.
    """
    test = log.filter(pc.equal(log["split"], "test"))
    drawn = np.random.default_rng(0).integers(_OLDEST, size=test.num_rows).astype(np.float32)
    runs = np.flatnonzero(test["days"].to_numpy() > drawn)[:NUMBER]
    rows, ages = test.take(pa.array(runs)), drawn[runs]
    days, stopped = (rows[name].to_numpy().astype(np.float64) for name in ("days", "stopped"))
    names = [name for name in _FEATURES if name in rows.column_names]
    ads = rows.select(names).to_pylist()
    chances = chance_to_stop(client, ads, ages, DAYS)
    # Of an ad that was last seen within the week nobody knows.
    known = (stopped == 1) | (days > ages + DAYS)
    ended = (stopped == 1) & (days <= ages + DAYS)
    order = np.argsort(-chances)
    lines = [
        f"Of {len(ads)} running ads {chances.sum():.0f} are expected to stop within {DAYS:.0f} days; of the "
        f"{known.sum()} whose end is known {chances[known].sum():.0f} were expected to, and {ended[known].sum()} did."
    ]
    for place in order[:_SHOWN].tolist():
        lines.append(f"  {rows['creative'][place].as_py()}, age {ages[place]:.0f} days: {chances[place]:.2f}")
    edges = np.array([1.0, 7.0, 27.0, 57.0, 117.0], np.float32)
    first = {name: [ads[0][name]] for name in ads[0]}
    curve = client.predict(
        {**first, "age": np.zeros(1, np.float32), "times": edges[np.newaxis]}, signature_name=_SIGNATURE
    )
    shown = ", ".join(f"{edge:.0f}: {value:.2f}" for edge, value in zip(edges, curve[_ANSWER][0], strict=True))
    return [*lines, f"The curve of {rows['creative'][0].as_py()}, survival by day: {shown}"]
