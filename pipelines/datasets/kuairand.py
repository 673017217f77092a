"""KuaiRand as published (Gao et al., CIKM 2022): Pure, 1K or 27K, every impression of the logs with many labels each.

The rows are those of all `log_*.csv` of the folder: the standard policy's impressions and, if the file is there, the
randomly exposed ones (`is_rand`, a feature). Rows that repeat another's user, video and time are kept: finding them
needs all rows at once. For duration and watch time see `kuairand_explicit`; play time decides the long view, so
it is a label and never a feature.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from tfmtl.pipelines.datasets.csv_batches import csv_batches
from tfmtl.pipelines.datasets.kuairand_explicit import video_columns
from tfmtl.pipelines.datasets.streamed_dataset import StreamedDataset

_FILES = "log_*.csv"
_LABELS = {
    "is_click": "click",
    "long_view": "long_view",
    "is_like": "like",
    "is_follow": "follow",
    "is_comment": "comment",
    "is_forward": "forward",
    "is_profile_enter": "profile_enter",
    "is_hate": "hate",
}
_NUMBERS = ("user_id", "video_id", "time_ms", "play_time_ms", "duration_ms")
_TYPES = dict.fromkeys(_NUMBERS, pa.int64()) | dict.fromkeys((*_LABELS, "is_rand", "tab"), pa.int8())


def _to_batches(files: Mapping[str, Sequence[Path]], scratch: Path) -> Iterator[pa.RecordBatch]:
    for path in files[_FILES]:
        for batch in csv_batches(path, _TYPES):
            columns = video_columns(batch, _LABELS) | {name: batch[name] for name in ("tab", "is_rand")}
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


KUAIRAND = StreamedDataset(
    name="kuairand",
    summary="KuaiRand-Pure, 1K or 27K as published (your copy): eight kinds of feedback and watch time of a video",
    where="KuaiRand is at zenodo.org/records/10439422.",
    patterns=(_FILES,),
    to_batches=_to_batches,
)
