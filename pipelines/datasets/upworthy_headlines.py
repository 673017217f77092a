"""Upworthy Research Archive (Matias et al. 2021): 22,666 headlines tested against each other, with views and clicks.

Every package becomes two rows, one with a click and one without, whose weights (`count`) are its clicks and its views
without a click: the loss is that of all 81 million views. What was computed from the clicks (significance, winner,
first_place) is no column. Tests are never cut: the newest weeks are the test split, and those before them validate.
"""

import numpy as np
import pyarrow as pa

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "packages.csv.gz"
_WHERE = (
    "The archive is at upworthy.natematias.com (exploratory packages). Write it as gzipped CSV with the columns week "
    "(such as 201446), test_id, headline, excerpt, lede, eyecatcher_id, impressions and clicks."
)
_TEXTS = ("test_id", "headline", "excerpt", "lede", "eyecatcher_id")
_NUMBERS = ("week", "impressions", "clicks")
_VALID_FROM, _TEST_FROM = 201440, 201446


def _to_rows(content: bytes) -> pa.Table:
    types = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_NUMBERS, pa.int64())
    packages = read_csv_gz(_FILE, content, types)
    views, clicks = (packages[name].to_numpy() for name in ("impressions", "clicks"))
    if (clicks > views).any() or (clicks < 0).any():
        place = int(np.argmax((clicks > views) | (clicks < 0)))
        raise ValueError(
            f"datasets: '{_FILE}': a package must have 0 clicks or more and not more than views. "
            f"Received: {clicks[place]} clicks of {views[place]} views."
        )
    # A test belongs to the week in which it began: 26 run over several.
    tests = packages["test_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.full(tests.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, tests, packages["week"].to_numpy())
    parts = np.array(["train", "valid", "test"])
    part = parts[np.searchsorted([_VALID_FROM, _TEST_FROM], first[tests], side="right")]
    counts = np.stack([clicks, views - clicks], axis=1).reshape(-1)
    rows = np.repeat(np.arange(len(views)), 2)[counts > 0]
    columns = {name: packages[name].take(pa.array(rows)) for name in _TEXTS}
    click = np.tile(np.array([1, 0], np.int8), len(views))[counts > 0]
    return pa.table(columns | {"part": pa.array(part[rows]), "click": click, "count": counts[counts > 0]})


UPWORTHY_HEADLINES = local_dataset(
    name="upworthy_headlines",
    summary="Upworthy tests, 22,666 headlines (your copy): click rate of 81 million views, from text",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
