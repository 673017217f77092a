"""News impressions in the form of MIND (Microsoft News): lists as shown, with the reader's history as logged.

A row is a candidate of a list; `impression_id` is the list. Its history stands in the row itself (`history`, article
ids, oldest first, without times), as the publisher gives it: the log has no other row of most readers.

What is known of a candidate is counted from earlier lists alone, since the candidates of one list share their time:
`shown_before` and `clicked_before` (lists), `click_rate_before` (with a prior of 20 views at 4 %), `hours_since_shown`
(since the first list that showed it; 0 then). Only lists with a click were published, so rates are above the site's.
"""

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.pipelines.datasets.local_files import local_dataset

_FILE = "impressions.jsonl.gz"
_WHERE = (
    "MIND-small is at msnews.github.io, for research only. Write behaviors.tsv as gzipped JSON lines, sorted by time: "
    "impression_id, user_id, time (ISO), history (article ids, oldest first), candidates, clicks (0 or 1 for each)."
)
_PRIOR_VIEWS, _PRIOR_RATE = 20.0, 0.04


def _to_rows(content: bytes) -> pa.Table:
    lists = _read(content)
    sizes = np.array([len(each["candidates"]) for each in lists], np.int64)
    places = np.repeat(np.arange(len(lists)), sizes)
    times = np.array([each["time"] for each in lists], "datetime64[s]").astype(np.int64)[places]
    articles = pa.array([article for each in lists for article in each["candidates"]], pa.string())
    clicks = np.array([click for each in lists for click in each["clicks"]], np.int8)
    of_list = {
        "impression_id": pa.array([str(each["impression_id"]) for each in lists]),
        "user_id": pa.array([str(each["user_id"]) for each in lists]),
        "history": pa.array([each["history"] for each in lists], pa.list_(pa.string())),
    }
    columns: dict[str, Any] = {name: values.take(pa.array(places)) for name, values in of_list.items()}
    columns |= {"time": times, "news_id": articles, "click": clicks, "list_length": sizes[places]}
    return pa.table(columns | _earlier_lists(articles.dictionary_encode().indices.to_numpy(), times, clicks))


def _read(content: bytes) -> list[dict[str, Any]]:
    try:
        lists = [json.loads(line) for line in gzip.decompress(content).splitlines()]
        wrong = [each for each in lists if len(each["candidates"]) != len(each["clicks"])]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"datasets: '{_FILE}' cannot be read: {error!r}") from error
    if wrong:
        raise ValueError(
            f"datasets: '{_FILE}': impression {wrong[0].get('impression_id')} must have a click for each candidate. "
            f"Received: {len(wrong[0]['clicks'])} for {len(wrong[0]['candidates'])}."
        )
    return lists


def _earlier_lists(articles: np.ndarray, times: np.ndarray, clicks: np.ndarray) -> dict[str, np.ndarray]:
    """What lists strictly before each row's time say of its article."""
    order = np.lexsort((times, articles))
    article, time = articles[order], times[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = article[1:] != article[:-1]
    is_later = is_new.copy()
    is_later[1:] |= time[1:] != time[:-1]
    numbers = np.arange(len(order))
    start = np.maximum.accumulate(np.where(is_new, numbers, 0))  # the article's first row
    until = np.maximum.accumulate(np.where(is_later, numbers, 0))  # the first of this time
    clicked = np.concatenate([[0], np.cumsum(clicks[order])])
    views, hits = until - start, clicked[until] - clicked[start]
    found = {
        "shown_before": views,
        "clicked_before": hits,
        "click_rate_before": (hits + _PRIOR_VIEWS * _PRIOR_RATE) / (views + _PRIOR_VIEWS),
        "hours_since_shown": (time - time[start]) / 3600.0,
    }
    back = np.empty(len(order), np.int64)
    back[order] = numbers
    return {name: values[back] for name, values in found.items()}


NEWS_IMPRESSIONS = local_dataset(
    name="news_impressions",
    summary="MIND news, 189,359 candidates of 5,000 lists (your copy): click, with the history as logged",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
