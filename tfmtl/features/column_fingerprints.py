"""Fingerprints of whole columns of a log, each distinct text hashed once."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfmtl.features.request_view import fingerprint
from tfmtl.schema import RequestInput


def column_fingerprints(given: RequestInput, column: pa.Array) -> np.ndarray:
    """`fingerprint` of a canonical column's values, int64 `(N,)`, 0 where missing.

    Args:
        given: the input whose values these are, one a row.
        column: `pa.Array`.
    """
    if given.dtype != "string":
        numbers = pc.fill_null(pc.cast(column, pa.float32(), safe=False), float("nan"))
        return np.asarray(fingerprint(tf.constant(numbers.to_numpy(zero_copy_only=False), given.dtype)).numpy())
    coded = column.dictionary_encode()
    texts = coded.dictionary.to_numpy(zero_copy_only=False)
    found = fingerprint(tf.constant(np.append(texts, ""), tf.string)).numpy()  # the last one is for missing values
    return np.asarray(found[pc.fill_null(coded.indices, len(texts)).to_numpy()])
