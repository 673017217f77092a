"""RetailRocket as published (Retail Rocket 2015): 2,756,101 views, carts and buys of a shop, May to September 2015.

- An example is a view. `cart` (`buy`) is 1 where the same user carted (bought) the same item within a day from the
  view on, at the view's own second included. Views of the log's last day have no labels: their day is not over.
- Every view counts, those after a cart, too: unlike in `retailrocket_mb` repeats are there, each at its own time.
- Carts and buys are no examples; they feed the histories. Times are cut to seconds.

Of 1,407,580 visitors most have one event, so that users are no feature. Times are in UTC; the shop's time zone is not
published.
"""

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.event_times import DAY, in_order_of_time
from tfmtl.pipelines.datasets.local_files import check_values, local_dataset, read_csv
from tfmtl.pipelines.datasets.outcomes import within_a_day

_FILE = "events.csv"
_TYPES = {"timestamp": pa.int64(), "visitorid": pa.int64(), "event": pa.string(), "itemid": pa.int64()}
_BEHAVIORS = {"view": "view", "addtocart": "cart", "transaction": "buy"}


def _to_rows(content: bytes) -> pa.Table:
    raw = read_csv(_FILE, content, _TYPES)
    check_values(_FILE, raw["event"], tuple(_BEHAVIORS))
    behaviors = pa.array(list(_BEHAVIORS.values()))
    rows = pa.table(
        {
            "user_id": raw["visitorid"],
            "item_id": raw["itemid"],
            "timestamp": pa.array(raw["timestamp"].to_numpy() // 1000),
            "behavior": behaviors.take(pc.index_in(raw["event"], pa.array(list(_BEHAVIORS))).combine_chunks()),
        }
    )
    rows = in_order_of_time(rows)
    times = rows["timestamp"].to_numpy()
    columns = {name: rows[name] for name in rows.column_names}
    is_over = times + DAY <= (times.max() if len(times) else 0)
    is_example = pc.equal(rows["behavior"], "view").to_numpy() & is_over
    columns |= within_a_day(rows, ("cart", "buy"), is_example)
    return pa.table(columns)


RETAILROCKET = local_dataset(
    name="retailrocket",
    summary="RetailRocket as published, 2.8 million views, carts and buys (your copy): cart and buy within a day",
    where="It is at kaggle.com/datasets/retailrocket/ecommerce-dataset.",
    file=_FILE,
    to_rows=_to_rows,
)
