"""The Complete Journey (84.51 / dunnhumby), product lines of 450 households: bought again, on a discount, paid.

An example is a product in a basket; products of one basket are not in each other's history.

- `rebuy`: the household buys the product again within 30 days. The problem file takes it from the later rows
  (`label_window`), so that windows which are not over have no label.
- `discount` is 1 where the loyalty discount was paid; `log_value` is log(1 + dollars paid for the line).
- `display` and `mailer` are the product's promotion in that store and week; empty where there was none.
- Fuel is left out: its quantity is a volume. Quantity and prices are not known before the basket.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.complete_journey import WHERE, seconds
from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "lines.csv.gz"
_NAMES = ("household_id", "store_id", "product_id")
_TEXTS = ("timestamp", "department", "category", "brand", "manufacturer_id", "display", "mailer")
_TYPES = {
    **dict.fromkeys(_NAMES, pa.int64()),
    **dict.fromkeys(_TEXTS, pa.string()),
    "sales_value": pa.float64(),
    "retail_disc": pa.float64(),
}


def _to_rows(content: bytes) -> pa.Table:
    rows = read_csv_gz(_FILE, content, _TYPES)
    rows = rows.filter(pc.not_equal(pc.fill_null(rows["department"], ""), "FUEL"))
    rows = rows.append_column("time", pa.array(seconds(rows["timestamp"])))
    rows = rows.sort_by([(key, "ascending") for key in ("time", "household_id", "product_id", "store_id")])
    found = {name: rows[name] for name in (*_NAMES, *_TEXTS[1:], "time", "sales_value")}
    found["discount"] = pa.array((rows["retail_disc"].to_numpy() > 0).astype(np.int8))
    found["log_value"] = pa.array(np.log1p(np.maximum(rows["sales_value"].to_numpy(), 0.0)).astype(np.float32))
    return pa.table(found)


COMPLETE_JOURNEY_LINES = local_dataset(
    name="complete_journey_lines",
    summary="The Complete Journey, 258,042 product lines (your copy): bought again within 30 days, discount, amount",
    where=WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
