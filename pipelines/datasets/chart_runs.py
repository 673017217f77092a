"""Weekly charts of 100 songs: how many weeks a song stays after its fourth one, from its ranks in the first four.

A landmark: only songs that lived longer than four weeks are rows, every one with exactly four ranks, and what is
predicted is the time that is left. A longer history is shorter for songs that left early, so its length would be the
answer. Songs entered from December 1991 on, when the method of the chart changed. A week of absence is no rank.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "runs.csv.gz"
_WHERE = (
    "Weekly charts are in github.com/mhollingshead/billboard-hot-100. Write the first run of every song as gzipped CSV "
    "with the columns time (weeks), event, entered (date), title, artist, entry_rank, artist_songs_before, "
    "weeks_since_artist_last_entry, featured and history (ranks joined by |, 0 = absent)."
)
_LANDMARK = 4
_FROM = "1991-12-01"
_TEXTS = ("entered", "title", "artist", "history")
_NUMBERS = ("time", "entry_rank", "artist_songs_before", "weeks_since_artist_last_entry")


def _to_rows(content: bytes) -> pa.Table:
    types = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_NUMBERS, pa.float64())
    songs = read_csv_gz(_FILE, content, types | dict.fromkeys(("event", "featured"), pa.int8()))
    songs = songs.filter(pc.and_(pc.greater_equal(songs["entered"], _FROM), pc.greater(songs["time"], _LANDMARK)))
    ranks = np.array([_ranks(text) for text in songs["history"].to_pylist()], np.float32).reshape(-1, _LANDMARK)
    columns = {name: songs[name] for name in ("event", "title", "artist", "featured", *_NUMBERS[1:])}
    columns["weeks_left"] = pc.subtract(songs["time"], float(_LANDMARK))
    columns["month"] = pc.utf8_slice_codeunits(songs["entered"], 5, 7)
    columns["year"] = pc.cast(pc.utf8_slice_codeunits(songs["entered"], 0, 4), pa.int32())
    columns["ranks"] = pa.array(ranks.tolist(), pa.list_(pa.float32()))
    return pa.table(columns)


def _ranks(history: str) -> list[float]:
    """The first ranks, NaN for a week of absence."""
    ranks = [float(rank) or float("nan") for rank in history.split("|")[:_LANDMARK]]
    if len(ranks) < _LANDMARK:
        raise ValueError(
            f"datasets: '{_FILE}': a song with more than {_LANDMARK} weeks must have as many ranks. "
            f"Received: history={history!r}."
        )
    return ranks


CHART_RUNS = local_dataset(
    name="chart_runs",
    summary="Weekly charts, songs alive in week 4 (your copy): weeks left, from the ranks of four weeks",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
    presets=("creative", "mmoe"),
    training={"batch_size": 256, "ema_momentum": 0.98, "id_dropout": 0.0},
)
