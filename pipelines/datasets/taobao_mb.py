"""Taobao UserBehavior, filtered (Tianchi data set 649; selected by Wei et al., WSDM 2022): favorites, carts and buys.

Nine days, 25 November to 3 December 2017 in Beijing, without the clicks. So there is no impression that a task could
start from, and the question is another one: given that a user acts on this item now, how?

- Every event is an example. `fav`, `cart` and `buy` say which behavior it is: exactly one is 1.
- The behavior is a label and a fact of past events, never a feature of its own row.
- Users are no feature (11 events each): the three histories say how a user tends to act.

The log has one row for each (user, item, behavior), repeats merged. So an item in a user's cart is never carted
again, which a model may learn from the history; 9 % of the pairs have both. Of 10,000 users the last purchased pair
was taken out by the publisher (it is in `test_buy_pairs.csv.gz`, without a time, and is not read).
"""

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.event_times import in_order_of_time
from tfmtl.pipelines.datasets.local_files import check_values, local_dataset, read_csv_gz

_FILE = "events.csv.gz"
_WHERE = (
    "The matrices train_mat_fav.pkl, train_mat_cart.pkl and train_mat_buy.pkl are in github.com/HKUDS/SSLRec, "
    "datasets/multi_behavior/tmall; their values are times. Write each as rows user_id, item_id, behavior, timestamp "
    "of one gzipped CSV."
)
_TYPES = {"user_id": pa.int64(), "item_id": pa.int64(), "behavior": pa.string(), "timestamp": pa.int64()}
_BEHAVIORS = ("fav", "cart", "buy")


def _to_rows(content: bytes) -> pa.Table:
    rows = read_csv_gz(_FILE, content, _TYPES)
    check_values(_FILE, rows["behavior"], _BEHAVIORS)
    rows = in_order_of_time(rows)
    columns = {name: rows[name] for name in ("user_id", "item_id", "timestamp")}
    for behavior in _BEHAVIORS:
        columns[behavior] = pc.cast(pc.equal(rows["behavior"], behavior), pa.int8())
    return pa.table(columns)


TAOBAO_MB = local_dataset(
    name="taobao_mb",
    summary="Taobao UserBehavior, 357,412 favorites, carts and buys (your copy): which behavior comes next",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
