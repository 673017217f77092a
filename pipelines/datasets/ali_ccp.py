"""Ali-CCP (Ma et al., SIGIR 2018, the data of ESMM): 84 million impressions of Taobao with click and purchase.

The published files have no header. A line of `sample_skeleton_{train,test}.csv` is

    sample_id,click,buy,common_feature_index,feature_num,features

and one of `common_features_{train,test}.csv`, which many impressions share,

    common_feature_index,feature_num,features

Features are separated by \\x01; each is `field \\x02 id \\x03 value`.

- Fields become columns by the publisher's description; ids stay text. Values are left out: they are 1 for profiles, and
  the logarithm of a count for the user's past, by which the lists are in order, the 20 largest first.
- There is no time: the past is given as those lists (past_categories, ...), and there are no sequences.
- The split is the publisher's; a tenth of the training file's common features (a user's request) is validation, so that
  requests stay together.
- A few rows have a purchase without a click. They are kept here and rejected by preprocessing, with that reason.
- Impressions whose common features are absent have no user; preprocessing rejects them, too.

Both files are sorted into 64 buckets by common feature on disk and joined bucket by bucket: memory holds the common
features of one bucket and its skeletons (about 660,000 short rows of the training file), the disk the selected features
once more beside the result. It takes about an hour on one core.
"""

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.row_buckets import RowBuckets
from tfmtl.pipelines.datasets.streamed_dataset import StreamedDataset

_COMMON_FIELDS = {
    "101": "user_id",
    "121": "profile_category",
    "122": "profile_group",
    "124": "gender",
    "125": "age",
    "126": "consumption_1",
    "127": "consumption_2",
    "128": "occupation",
    "129": "geography",
}
_COMMON_LISTS = {
    "109_14": "past_categories",
    "110_14": "past_shops",
    "127_14": "past_brands",
    "150_14": "past_intentions",
}
_FIELDS = {
    "205": "item_id",
    "206": "category",
    "207": "shop",
    "216": "brand",
    "508": "cross_category",
    "509": "cross_shop",
    "702": "cross_brand",
    "301": "position",
}
_LISTS = {"210": "intentions", "853": "cross_intentions"}
_MOST = 20
_BUCKETS = 64
_BATCH_LINES = 8_192
_VALID_OF = 10
_PARTS = ("train", "test")
_KEY = "common_feature"


def _to_batches(files: Mapping[str, Sequence[Path]], scratch: Path) -> Iterator[pa.RecordBatch]:
    for part in _PARTS:
        common = RowBuckets(scratch / f"common_{part}", _BUCKETS)
        with common:
            for batch in _read(files[f"common_features_{part}.csv"][0], 3, _common_row, _COMMON_FIELDS, _COMMON_LISTS):
                common.add(batch, _hashes(batch[_KEY]))
        skeleton = RowBuckets(scratch / f"skeleton_{part}", _BUCKETS)
        with skeleton:
            for batch in _read(files[f"sample_skeleton_{part}.csv"][0], 6, _skeleton_row, _FIELDS, _LISTS):
                skeleton.add(batch, _hashes(batch[_KEY]))
        for bucket, rows in skeleton.read():
            yield from _joined(rows.sort_by(_KEY), common.bucket(bucket), part)


def _joined(rows: pa.Table, common: pa.Table | None, part: str) -> Iterator[pa.RecordBatch]:
    """The rows with their common features and the split, some thousand at a time."""
    if common is None:
        common = _batch([], _COMMON_FIELDS, _COMMON_LISTS, ())
        common = pa.Table.from_batches([common])
    places = pc.index_in(rows[_KEY], common[_KEY].combine_chunks()).combine_chunks()
    for start in range(0, rows.num_rows, _BATCH_LINES):
        own, found = rows.slice(start, _BATCH_LINES), common.drop_columns([_KEY])
        joined = found.take(places.slice(start, _BATCH_LINES))
        columns = {name: own[name] for name in own.column_names if name != _KEY}
        columns |= {name: joined[name] for name in joined.column_names}
        is_valid = _hashes(own[_KEY]) // _BUCKETS % _VALID_OF == 0
        columns["split"] = pa.array(
            np.where(is_valid, "valid", "train") if part == "train" else ["test"] * own.num_rows
        )
        yield from pa.table(columns).combine_chunks().to_batches()


def _hashes(column: Any) -> np.ndarray:
    return np.array([zlib.crc32(key.encode()) for key in column.to_pylist()], np.int64)


# === Lines ===


def _common_row(parts: list[str]) -> tuple[str, ...]:
    return (parts[0],)


def _skeleton_row(parts: list[str]) -> tuple[str, ...]:
    return parts[3], parts[1], parts[2]


def _read(
    path: Path,
    num_parts: int,
    row: Callable[[list[str]], tuple[str, ...]],
    fields: Mapping[str, str],
    lists: Mapping[str, str],
) -> Iterator[pa.RecordBatch]:
    """Batches of the lines of a file; `row` picks the key, and the labels of a skeleton, out of a line's parts."""
    labels = ("click", "buy") if num_parts == 6 else ()
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
            parsed = (_line(path, *line, num_parts, row, fields, lists) for line in enumerate(stream, 1))
            while rows := list(itertools.islice(parsed, _BATCH_LINES)):
                yield _batch(rows, fields, lists, labels)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"datasets: '{path.name}' cannot be read: {error}") from error


def _line(
    path: Path,
    number: int,
    line: str,
    num_parts: int,
    row: Callable[[list[str]], tuple[str, ...]],
    fields: Mapping[str, str],
    lists: Mapping[str, str],
) -> dict[str, Any]:
    parts = line.rstrip("\r\n").split(",", num_parts - 1)
    features = [feature for feature in parts[-1].split("\x01") if feature]
    if len(parts) != num_parts or any("\x02" not in feature for feature in features):
        raise ValueError(
            f"datasets: '{path.name}', line {number} must be {num_parts} parts joined by commas, the last one features "
            f"such as 205\\x024243\\x031.0. Received: {line[:80]!r}."
        )
    key, *labels = row(parts)
    found: dict[str, Any] = {_KEY: key, **dict(zip(("click", "buy"), map(int, labels), strict=False))}
    weighed: dict[str, list[tuple[float, str]]] = {}
    for feature in features:
        field, _, rest = feature.partition("\x02")
        value, _, weight = rest.partition("\x03")
        if field in fields:
            found.setdefault(fields[field], value)
        elif field in lists:
            weighed.setdefault(lists[field], []).append((-float(weight or 1.0), value))
    return found | {name: [value for _, value in sorted(values)[:_MOST]] for name, values in weighed.items()}


def _batch(
    rows: Sequence[Mapping[str, Any]], fields: Mapping[str, str], lists: Mapping[str, str], labels: Sequence[str]
) -> pa.RecordBatch:
    types = {_KEY: pa.string(), **dict.fromkeys(labels, pa.int8())}
    types |= dict.fromkeys(fields.values(), pa.string()) | dict.fromkeys(lists.values(), pa.list_(pa.string()))
    return pa.RecordBatch.from_pylist(list(rows), schema=pa.schema(types))


ALI_CCP = StreamedDataset(
    name="ali_ccp",
    summary="Ali-CCP, 84 million impressions of Taobao (your copy): click and the purchase after it",
    where="It is at tianchi.aliyun.com/dataset/408 (sample_train.tar.gz and sample_test.tar.gz, to be unpacked).",
    patterns=tuple(f"{what}_{part}.csv" for part in _PARTS for what in ("sample_skeleton", "common_features")),
    to_batches=_to_batches,
)
