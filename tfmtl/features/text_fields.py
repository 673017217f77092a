"""The fields of texts."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmtl.core.masking import masked_mean
from tfmtl.core.types import Tensor
from tfmtl.features.encoders import make_encoder
from tfmtl.features.field_layer import FieldLayer


class TextFields(FieldLayer):
    """What the encoder of every text makes of its tokens, and a learned vector where there are none.

    The encoder reads the words, or the runs of characters where there are no words; beside words, the mean of the runs
    is added. Where embeddings have several copies, every copy has an encoder of its own.

    Args:
        records: the `TextFeature`s.
        dim: int. Width of a field.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def build(self, input_shape: Any = None) -> None:
        self.encoders = []
        width = self.dim // self.copies
        for record in self.records:
            length = record.max_length if record.has_words else record.max_ngrams
            copies = 1 if record.encoder == "mean" else self.copies
            names = [f"{record.name}_{record.encoder}_{copy}" for copy in range(copies)]
            made = [make_encoder(record.encoder, width, length, width, self.dtype_policy, name) for name in names]
            self.encoders.append(made)
            self.add_missing(record.name)
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
            first = record.name if record.has_words else record.ngrams_key
            if first not in rows:  # no column of these events
                continue
            tokens, mask = rows[first], masks[first][:, :, 0]
            parts = tf.split(tokens, len(encoders), axis=-1)
            field = tf.concat([each(part, mask) for each, part in zip(encoders, parts, strict=True)], axis=-1)
            is_there = tf.reduce_max(mask, axis=1)
            if record.has_words and record.has_ngrams:
                runs = masks[record.ngrams_key][:, :, 0]
                field += masked_mean(rows[record.ngrams_key], runs > 0)
                is_there = tf.maximum(is_there, tf.reduce_max(runs, axis=1))
            fields[record.name] = self.with_missing(record.name, field, 1.0 - is_there)
        return fields
