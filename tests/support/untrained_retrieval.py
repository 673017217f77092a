"""A retrieval whose towers nobody trained: for tests of what is done with the items that it finds."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import tensorflow as tf

from tfmtl.data import PreparedData
from tfmtl.export.transform_record import TransformRecord
from tfmtl.export.versions import new_version
from tfmtl.folders import ExportedVersion
from tfmtl.retrieval.items import read_items
from tfmtl.retrieval.retrieval_module import RetrievalModule


def untrained_retrieval(data: PreparedData, items: pa.Table, folder: Path) -> Path:
    """Writes a version whose index answers everybody with the items in the order of the table."""
    with new_version("retrieve", folder, None) as (written, final):
        written.extra.mkdir(parents=True)
        parquet.write_table(items, written.items)
        data.problem.save(written.fitted.problem)
        TransformRecord.of(data).save(written.transform)
        written.retrieval.write_text(json.dumps({"item": "item", "task": "click", "items": items.num_rows}))
        _save(data, written, items.num_rows)
    return final


def _save(data: PreparedData, version: ExportedVersion, num_items: int) -> None:
    scores = -tf.range(num_items, dtype=tf.float32)

    def index(queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        best, rows = tf.math.top_k(scores, k)
        size = [tf.shape(queries)[0], 1]
        return tf.tile(best[tf.newaxis], size), tf.tile(rows[tf.newaxis], size)

    def tower(encoded: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.zeros((tf.shape(next(iter(encoded.values())))[0], 1))

    raw = read_items(data.problem, version.items)
    module = RetrievalModule(data.problem, "item", data.transform(), tower, tower, index, [], raw)
    tf.saved_model.save(module, str(version.path), signatures=module.signatures())
