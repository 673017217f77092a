"""Embedding tables of an export in fewer bytes: float16, or int8 with a scale for each row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfmtl.schema.checks import check_one_of, error_text

_LARGEST = 127  # not -128, so that a value and its negative are stored alike


class HalfTable(tf.Module):
    """A table as float16: 11 significant bits of every number.

    Args:
        table: float32 `(rows, width)`.

    Raises:
        ValueError: a number is beyond 65,504, the largest of float16, or not finite.
    """

    def __init__(self, table: npt.NDArray[np.float32]) -> None:
        super().__init__(name="half_table")
        _check_range(table, float(np.finfo(np.float16).max), "fp16", "Use int8.")
        self.values = tf.Variable(table.astype(np.float16), trainable=False, name="values")

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """The rows of int `(...)`, float32 `(..., width)`."""
        return tf.cast(tf.gather(self.values, ids), tf.float32)

    def restored(self) -> npt.NDArray[np.float32]:
        """The whole table as its rows are read."""
        return np.asarray(self.values.numpy(), np.float32)

    @property
    def num_bytes(self) -> int:
        """What is stored."""
        return int(self.values.numpy().nbytes)


class ByteTable(tf.Module):
    """A table as int8 with one float32 scale for each row: `row = values * scale`, `scale = max |row| / 127`.

    A number is off by half a scale at most, plus its last float32 digit. A row of zeros, or of numbers below 1e-36, has
    the scale 0.

    Args:
        table: float32 `(rows, width)`.

    Raises:
        ValueError: a number is not finite.
    """

    def __init__(self, table: npt.NDArray[np.float32]) -> None:
        super().__init__(name="byte_table")
        _check_range(table, float(np.finfo(np.float32).max), "int8", "Look at the training's learning rate.")
        scales = (np.max(np.abs(table), axis=1) / np.float32(_LARGEST)).astype(np.float32)
        # TensorFlow takes what lies between zero and the smallest normal number for zero; NumPy does not.
        scales[scales < np.finfo(np.float32).tiny] = 0.0
        divisors = np.where(scales > 0.0, scales, np.float32(1.0))[:, np.newaxis]
        values = np.clip(np.rint(table / divisors), -_LARGEST, _LARGEST).astype(np.int8)
        self.values = tf.Variable(values, trainable=False, name="values")
        self.scales = tf.Variable(scales, trainable=False, name="scales")

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """The rows of int `(...)`, float32 `(..., width)`."""
        return tf.cast(tf.gather(self.values, ids), tf.float32) * tf.gather(self.scales, ids)[..., tf.newaxis]

    def restored(self) -> npt.NDArray[np.float32]:
        """The whole table as its rows are read."""
        restored: npt.NDArray[np.float32] = self.values.numpy().astype(np.float32) * self.scales.numpy()[:, np.newaxis]
        return restored

    @property
    def num_bytes(self) -> int:
        """What is stored."""
        return int(self.values.numpy().nbytes + self.scales.numpy().nbytes)


StoredTable = HalfTable | ByteTable

_FORMS: dict[str, type[HalfTable] | type[ByteTable]] = {"fp16": HalfTable, "int8": ByteTable}


def check_form(form: str) -> None:
    """Raises `ValueError` unless `form` names a way to store tables."""
    check_one_of("export", "tables", form, tuple(_FORMS))


def stored_table(form: str, table: npt.NDArray[np.float32]) -> StoredTable:
    """The table in the form of a name, `"fp16"` or `"int8"`.

    Raises:
        ValueError: no such form, or it cannot hold the table.
    """
    check_form(form)
    return _FORMS[form](table)


def _check_range(table: npt.NDArray[np.float32], largest: float, form: str, advice: str) -> None:
    found = float(np.max(np.abs(table), initial=0.0))
    if not found <= largest:  # also NaN
        rule = f"store numbers up to {largest:g}, and a table has {found:g}"
        raise ValueError(error_text("export", "tables", rule, form, advice))
