"""Facebook ads of the Internet Research Agency: 2,154 real ads with text and targeting, and how long they ran.

Released by a committee of the US House of Representatives in 2018: political propaganda of 2015 to 2017, whose content
offends. The end is mostly the scheduled one, so it is weak evidence of quality. Impressions, clicks and spend are
totals over the whole life and would give it away; they serve for the weight of the loss alone (`ctr`, clicks of
impressions; 0 without impressions).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "ads.csv.gz"
_WHERE = (
    "The ads, parsed from the released files, are in github.com/simonw/russian-ira-facebook-ads-datasette. Write those "
    "with a start and a later end as gzipped CSV with the columns time (days), event, created (time of the start), "
    "text, age, gender, location, placements, people_who_match, interests, impressions and clicks."
)
_TEXTS = ("created", "text", "age", "gender", "location", "placements", "people_who_match", "interests")
_NUMBERS = ("time", "impressions", "clicks")


def _to_rows(content: bytes) -> pa.Table:
    types = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_NUMBERS, pa.float64()) | {"event": pa.int8()}
    ads = read_csv_gz(_FILE, content, types)
    started = pc.cast(pc.utf8_slice_codeunits(ads["created"], 0, 19), pa.timestamp("s"))
    views, clicks = (pc.fill_null(ads[name], 0.0).to_numpy() for name in ("impressions", "clicks"))
    columns = {name: ads[name] for name in ("time", "event", *_TEXTS[1:])}
    columns["hour"] = pc.hour(started)
    columns["weekday"] = pc.day_of_week(started)
    columns["started"] = pc.divide(pc.cast(pc.cast(started, pa.int64()), pa.float64()), 86_400.0)
    columns["ctr"] = np.minimum(np.divide(clicks, views, out=np.zeros_like(views), where=views > 0), 1.0)
    return pa.table(columns)


IRA_ADS = local_dataset(
    name="ira_ads",
    summary="Facebook ads, 2,154 (your copy): days until an ad ends, from text and targeting, weighted by CTR",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
