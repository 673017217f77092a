"""The fields of series."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.features.encoders import make_encoder
from tfmtl.features.field_layer import FieldLayer


class SeriesFields(FieldLayer):
    """What the encoder of every series makes of its numbers and of which are there, or a learned vector without any.

    A step without any number is skipped. Where embeddings have several copies, every copy has an encoder of its own.

    Args:
        records: the `SeriesFeature`s.
        dim: int. Width of a field.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def build(self, input_shape: Any = None) -> None:
        self.encoders = []
        for each in self.records:
            names = [f"{each.name}_{each.encoder}_{copy}" for copy in range(self.copies)]
            sizes = self.dim // self.copies, each.length, 2 * each.channels
            self.encoders.append([make_encoder(each.encoder, *sizes, self.dtype_policy, name) for name in names])
            self.add_missing(each.name)
        self.built = True

    def call(
        self,
        rows: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        arrays: Mapping[str, Tensor],
        training: bool = False,
    ) -> dict[str, Tensor]:
        fields = {}
        for record, encoders in zip(self.records, self.encoders, strict=True):
            present = tf.cast(arrays[record.present_key], self.compute_dtype)  # (b, length, channels)
            steps = tf.concat([tf.cast(arrays[record.name], self.compute_dtype), present], axis=-1)
            mask = tf.reduce_max(present, axis=-1)
            field = tf.concat([encoder(steps, mask) for encoder in encoders], axis=-1)
            fields[record.name] = self.with_missing(record.name, field, 1.0 - tf.reduce_max(mask, axis=1))
        return fields
