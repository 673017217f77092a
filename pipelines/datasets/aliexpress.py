"""AliExpress search (Li et al., CIKM 2020, used by AITM and others): impressions of a search with click and conversion.

One country at a time: the folder holds `train.csv` and `test.csv` of NL, ES, FR or US. Their columns are `search_id`,
`categorical_1` to `categorical_16`, `numerical_1` to `numerical_63`, `click` and `conversion`; what they mean is not
published. A search is the group of the grouped AUC. The split is the publisher's, with a tenth of the training file's
searches for validation.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfmtl.pipelines.datasets.csv_batches import csv_batches
from tfmtl.pipelines.datasets.streamed_dataset import StreamedDataset

_FILES = {"train": "train.csv", "test": "test.csv"}
_NAMES = ("search_id", *(f"categorical_{number}" for number in range(1, 17)))
_NUMBERS = tuple(f"numerical_{number}" for number in range(1, 64))
_TYPES = (
    dict.fromkeys(_NAMES, pa.int64())
    | dict.fromkeys(_NUMBERS, pa.float32())
    | dict.fromkeys(("click", "conversion"), pa.int8())
)
_VALID_OF = 10
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash: neighboring searches fall apart


def _to_batches(files: Mapping[str, Sequence[Path]], scratch: Path) -> Iterator[pa.RecordBatch]:
    for part, name in _FILES.items():
        for batch in csv_batches(files[name][0], _TYPES):
            searches = batch["search_id"].to_numpy().astype(np.uint64)
            is_valid = (searches * _GOLDEN >> np.uint64(40)) % np.uint64(_VALID_OF) == 0
            split = np.where(is_valid, "valid", "train") if part == "train" else np.full(batch.num_rows, "test")
            yield batch.append_column("split", pa.array(split, pa.string()))


ALIEXPRESS = StreamedDataset(
    name="aliexpress",
    summary="AliExpress search of one country, NL, ES, FR or US (your copy): click and the conversion after it",
    where="It is at tianchi.aliyun.com/dataset/74690.",
    patterns=tuple(_FILES.values()),
    to_batches=_to_batches,
)
