"""Encode canonical columns as model inputs."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.data.raw_transform import RawTransform
from tfmtl.schema import RequestInput
from tfmtl.schema.reserved import MISSING


def encode_column(transform: RawTransform, name: str, given: RequestInput, column: pa.Array) -> dict[str, np.ndarray]:
    """Encoded key -> `(rows, ...)`, of a feature with one value per row; each distinct text is looked up once."""
    if given.dtype != "string":
        encoded = transform.encode_feature(name, plain_values(given, column))
        return {key: values.numpy() for key, values in encoded.items()}
    coded = column.dictionary_encode()
    texts = coded.dictionary.to_numpy(zero_copy_only=False)
    places = pc.fill_null(coded.indices, len(texts)).to_numpy()
    encoded = transform.encode_feature(name, np.append(texts, MISSING["string"]))  # the last one, for missing values
    return {key: values.numpy()[places] for key, values in encoded.items()}


def encode_lists(
    transform: RawTransform, name: str, given: RequestInput, column: pa.Array, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of the lists of some rows one after another, and where each row's begin."""
    lists = column.take(pa.array(rows))
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    [ids] = encode_column(transform, name, given, pc.list_flatten(lists)).values()
    return ids, np.concatenate([[0], np.cumsum(lengths)])


def plain_values(given: RequestInput, column: pa.Array) -> np.ndarray:
    """Numbers as a request holds them, `(rows, *inner)`, with what stands for a missing value where there is none."""
    missing = MISSING[given.dtype]
    if not given.inner:
        filler = pa.scalar(missing, column.type)
        return np.asarray(pc.fill_null(column, filler).to_numpy(zero_copy_only=False))
    size = int(given.inner[0] or 0)
    rows = np.full((len(column), size), missing, given.dtype)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    rows[present] = flat.reshape(-1, size)
    return rows
