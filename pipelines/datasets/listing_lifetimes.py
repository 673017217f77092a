"""Entries of hand-kept public lists: how long until one is taken out, from its name, one sentence, section and host.

A lifetime runs from the day of entry until the last sight; entries that are still there are censored at the last day
of their list's history. Calendar time matters, so the year of entry is a feature; the days since entry would be the
answer. Removals come in lumps, when a keeper cleans up.
"""

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "entries.csv.gz"
_WHERE = (
    "Follow the README.md of awesome-go, awesome-selfhosted, public-apis and free-for-dev (github.com) through their "
    "git histories and write gzipped CSV with the columns time (days), event, list, entered (date), name, description, "
    "section, host, auth, https, cors, list_size and section_size."
)
_TEXTS = ("list", "name", "description", "section", "host", "auth", "https", "cors")
_TYPES = dict.fromkeys(("time", "list_size", "section_size"), pa.float64()) | {"event": pa.int8()}
_TYPES |= {"entered": pa.date32()} | dict.fromkeys(_TEXTS, pa.string())


def _to_rows(content: bytes) -> pa.Table:
    rows = read_csv_gz(_FILE, content, _TYPES)
    entered = rows["entered"]
    columns = {name: rows[name] for name in ("time", "event", *_TEXTS, "list_size", "section_size")}
    return pa.table(columns | {"year": pc.add(pc.year(entered), pc.divide(pc.cast(pc.month(entered), "double"), 12.0))})


LISTING_LIFETIMES = local_dataset(
    name="listing_lifetimes",
    summary="Public lists, 10,162 entries (your copy): days until an entry is removed, with its text",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
    presets=("creative", "mmoe"),
    training={"batch_size": 256, "ema_momentum": 0.98, "id_dropout": 0.0},
)
