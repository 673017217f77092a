"""KuaiRand-27K, explicit feedback (Gao et al., CIKM 2022): 41,704 short-video impressions with many labels each.

The rows are impressions that the user liked or hated, of 664 users who did both, 8 to 21 April 2022. So a like is not
a task (its rate was made by the selection, and a hate is its opposite) but a fact of past events only, and the
histories are a user's explicit feedback, not everything watched.

- 124 rows repeat another one's user, video and time; they are dropped.
- The hour is taken from `time_ms`. The file's `hourmin` is often an hour later, more often where the video was
  watched for longer: it knows the label.
- `duration_ms` is 0 for 19 % of the rows; that is a missing duration.
- `watch_seconds` is the play time, at most 180 s: 1 % of the rows play longer, up to ten minutes, and would rule a
  squared error. Play time decides the long view, so it is a label and never a feature.
- Videos of one page share one time and are not in each other's history.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "kuairand27k_like_or_hate_kcore15.csv.gz"
_WHERE = (
    "KuaiRand-27K is at zenodo.org/records/10439422; this selection of it (processed_standard_kcore_15.csv) is in "
    "github.com/alessandrosocc/predict_explicit_negative_feedback_kuairand. Write it as gzipped CSV with the "
    "columns user_id, video_id, time_ms, is_click, long_view, is_profile_enter, is_comment, is_follow, is_like, "
    "is_hate, play_time_ms and duration_ms."
)
_LABELS = {
    "is_click": "click",
    "long_view": "long_view",
    "is_profile_enter": "profile_enter",
    "is_comment": "comment",
    "is_follow": "follow",
}
_PAST_ONLY = ("is_like", "is_hate")
_NUMBERS = ("user_id", "video_id", "time_ms", "play_time_ms", "duration_ms")
_TYPES = dict.fromkeys(_NUMBERS, pa.int64()) | dict.fromkeys((*_LABELS, *_PAST_ONLY), pa.int8())
_MOST_WATCHED_SECONDS = 180.0


def _to_rows(content: bytes) -> pa.Table:
    rows = _without_repeats(read_csv_gz(_FILE, content, _TYPES))
    return pa.table(video_columns(rows, _LABELS) | {name: rows[name] for name in _PAST_ONLY})


def video_columns(rows: pa.Table | pa.RecordBatch, labels: Mapping[str, str]) -> dict[str, Any]:
    """Keys, duration, labels and watch time of KuaiRand's rows; `labels`: raw column -> label."""
    duration = rows["duration_ms"].to_numpy()
    watched = np.minimum(rows["play_time_ms"].to_numpy() / 1000.0, _MOST_WATCHED_SECONDS)
    columns = {name: rows[name] for name in ("user_id", "video_id", "time_ms")}
    columns["duration_seconds"] = pa.array((duration / 1000.0).astype(np.float32), mask=duration <= 0)
    columns |= {label: rows[column] for column, label in labels.items()}
    columns["watch_seconds"] = pa.array(watched.astype(np.float32))
    return columns


def _without_repeats(rows: pa.Table) -> pa.Table:
    """In order of time, the first row of each user, video and time."""
    keys = ("time_ms", "user_id", "video_id")
    rows = rows.sort_by([(key, "ascending") for key in keys])
    is_new = np.ones(rows.num_rows, bool)
    is_new[1:] = np.any([np.diff(rows[key].to_numpy()) != 0 for key in keys], axis=0)
    return rows.filter(pa.array(is_new))


KUAIRAND_EXPLICIT = local_dataset(
    name="kuairand_explicit",
    summary="KuaiRand-27K, liked or hated videos (your copy): click, long view, profile, comment, follow, watch time",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
