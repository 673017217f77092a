"""Taobao UserBehavior as published (Tianchi data set 649): 100,150,807 views, favorites, carts and buys of nine days.

25 November to 3 December 2017 in Beijing; the few rows of other times are dropped. `UserBehavior.csv` has no header.

- An example is a view (`pv`). `fav`, `cart` and `buy` are 1 where the same user did so with the same item within a
  day from the view on. Views of the last day have no labels and are no examples: their day is not over.
- Everything else feeds the histories, each at its own time.

Rows are first sorted into 128 buckets of users on disk (about 2 GB), since a label needs all events of a user; memory
holds one bucket, some 800,000 rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.csv_batches import csv_batches
from tfmtl.pipelines.datasets.event_times import DAY, in_order_of_time
from tfmtl.pipelines.datasets.local_files import check_values
from tfmtl.pipelines.datasets.outcomes import within_a_day
from tfmtl.pipelines.datasets.row_buckets import RowBuckets
from tfmtl.pipelines.datasets.streamed_dataset import StreamedDataset

_FILE = "UserBehavior.csv"
_TYPES = {
    "user_id": pa.int64(),
    "item_id": pa.int64(),
    "category_id": pa.int64(),
    "behavior": pa.string(),
    "timestamp": pa.int64(),
}
_BUCKETS = 128
_BATCH_ROWS = 65_536
_BEGIN = 1_511_539_200  # 2017-11-25 00:00 in Beijing
_END = _BEGIN + 9 * DAY


def _to_batches(files: Mapping[str, Sequence[Path]], scratch: Path) -> Iterator[pa.RecordBatch]:
    with RowBuckets(scratch / "users", _BUCKETS) as buckets:
        for batch in csv_batches(files[_FILE][0], _TYPES, has_header=False):
            check_values(_FILE, batch["behavior"], ("pv", "fav", "cart", "buy"))
            times = batch["timestamp"].to_numpy()
            kept = batch.filter(pa.array((times >= _BEGIN) & (times < _END)))
            buckets.add(kept, kept["user_id"].to_numpy())
    for _, rows in buckets.read():
        yield from _labeled(rows).to_batches(_BATCH_ROWS)


def _labeled(rows: pa.Table) -> pa.Table:
    rows = in_order_of_time(rows)
    times = rows["timestamp"].to_numpy()
    columns = {name: rows[name] for name in rows.column_names}
    is_example = pc.equal(rows["behavior"], "pv").to_numpy() & (times + DAY <= _END)
    columns |= within_a_day(rows, ("fav", "cart", "buy"), is_example)
    return pa.table(columns).combine_chunks()


TAOBAO = StreamedDataset(
    name="taobao",
    summary="Taobao UserBehavior as published, 100 million events (your copy): fav, cart, buy within a day of a view",
    where="It is at tianchi.aliyun.com/dataset/649.",
    patterns=(_FILE,),
    to_batches=_to_batches,
)
