"""The items of an index with their raw features, as a Parquet file and as tensors."""

from pathlib import Path

import pyarrow.parquet as parquet
import tensorflow as tf

from tfmtl.data.example_spec import candidate_features, raw_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.schema import Problem


def read_items(problem: Problem, path: Path) -> dict[str, tf.Tensor]:
    """The raw features of side `item`, a row per item; shorter lists are filled up with `""`.

    Args:
        problem: `Problem`.
        path: Parquet, a column per feature, nothing null: missing is `""`, `[]` or NaN, as in a request.
    """
    known = set(candidate_features(problem)).intersection(parquet.read_schema(path).names)
    signature = {name: spec for name, spec in raw_signature(problem).items() if name in known}
    return to_tensors(parquet.read_table(path, columns=list(signature)).to_pylist(), signature)
