"""RetailRocket, active users (Retail Rocket 2015; selected by Wei et al., WSDM 2022): views, carts and buys of a shop.

The log has one row for each (user, item, behavior): repeats were merged and the last time was kept, so 19 % of the
pairs that were viewed and bought show the view after the purchase. Nothing is derived from that order but this:

- An example is a view. `cart` (`buy`) is 1 where the same user carted (bought) the same item within a day from the
  view on, at the view's own second included; 98 % (96 %) of all that ever follow a view do so within the day.
- The label is missing where the pair's cart or buy came before the view (for `buy`: its buy): the view that led to it
  was merged away, and whether the kept one would have led to another cannot be told.
- Views of the log's last day have no labels: their day is not over.
- A view without any label is no example. It feeds the histories, as the carts and buys do, each at its own time.

What the merging leaves, and no adapter can mend: a view that was repeated later is absent from the histories in
between. Of each user the last purchased pair was taken out by the publisher with all its events (they are in
`test_buy_pairs.csv.gz`, without times, and are not read). All users are buyers, so rates are far above the shop's.
Times are in UTC; the shop's time zone is not published.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.event_times import DAY, in_order_of_time
from tfmtl.pipelines.datasets.local_files import check_values, local_dataset, read_csv_gz
from tfmtl.pipelines.datasets.outcomes import outcome

_FILE = "events.csv.gz"
_WHERE = (
    "The matrices train_mat_view.pkl, train_mat_cart.pkl and train_mat_buy.pkl are in github.com/HKUDS/SSLRec, "
    "datasets/multi_behavior/retail_rocket; their values are times. Write each as rows user_id, item_id, behavior, "
    "timestamp of one gzipped CSV."
)
_TYPES = {"user_id": pa.int64(), "item_id": pa.int64(), "behavior": pa.string(), "timestamp": pa.int64()}


def _to_rows(content: bytes) -> pa.Table:
    rows = read_csv_gz(_FILE, content, _TYPES)
    check_values(_FILE, rows["behavior"], ("view", "cart", "buy"))
    rows = in_order_of_time(rows)
    times = rows["timestamp"].to_numpy()
    columns = {name: rows[name] for name in ("user_id", "item_id", "timestamp", "behavior")}
    is_view = pc.equal(rows["behavior"], "view").to_numpy()
    is_over = times + DAY <= (times.max() if len(times) else 0)
    carted_before, carts = outcome(rows, "cart")
    bought_before, buys = outcome(rows, "buy")
    has_cart = is_view & is_over & ~carted_before & ~bought_before
    has_buy = is_view & is_over & ~bought_before
    columns["cart"] = pa.array(carts.astype(np.int8), mask=~has_cart)
    columns["buy"] = pa.array(buys.astype(np.int8), mask=~has_buy)
    columns["is_example"] = pa.array((has_cart | has_buy).astype(np.int8))
    return pa.table(columns)


RETAILROCKET_MB = local_dataset(
    name="retailrocket_mb",
    summary="RetailRocket, 97,381 views, carts and buys (your copy): cart and buy within a day of a view",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
