"""The fields of pictures."""

import sys
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.initializers import small_uniform
from tfmtl.core.types import Tensor
from tfmtl.features.field_layer import FieldLayer
from tfmtl.schema.checks import did_you_mean, error_text
from tfmtl.schema.features.image import CONV

_GROUPS = 8  # of channels that are normalized together


class ImageFields(FieldLayer):
    """What the encoder gives of a picture times a learned matrix, and a learned vector where there is no picture.

    Args:
        records: the `ImageFeature`s.
        dim: int. Width of a field.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def build(self, input_shape: Any = None) -> None:
        self.bodies, self.projections = {}, {}
        for record in self.records:
            make = _convolutions if record.encoder == CONV else _application
            body = make(record, self.dtype_policy)
            dense = keras.layers.Dense(
                self.dim, kernel_initializer=small_uniform(), dtype=self.dtype_policy, name=f"{record.name}_projection"
            )
            dense.build(body.output_shape)
            self.bodies[record.name], self.projections[record.name] = body, dense
            self.add_missing(record.name)
        self.built = True

    def load_given_weights(self) -> None:
        """Loads the weights of `keras.applications` networks from the files that the problem names."""
        for record in self.records:
            if record.weights is None:
                continue
            try:
                self.bodies[record.name].load_weights(record.weights)
            except (OSError, ValueError) as error:
                rule = f"be a file with weights of keras.applications.{record.encoder} without its top"
                advice = f"Give a file that its `load_weights` reads: {error}"
                owner = f"ImageFeature '{record.name}'"
                raise ValueError(error_text(owner, "weights", rule, record.weights, advice)) from error

    def call(
        self,
        rows: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        arrays: Mapping[str, Tensor],
        training: bool = False,
    ) -> dict[str, Tensor]:
        fields = {}
        for record in self.records:
            pixels = tf.cast(arrays[record.name], self.compute_dtype)  # (b, height, width, channels)
            # Never in training mode: statistics of a batch would run twice under SAM and differ by replica.
            channels = self.bodies[record.name](_scaled(record, pixels), training=False)
            field = self.projections[record.name](channels)  # (b, D)
            fields[record.name] = self.with_missing(record.name, field, arrays[record.missing_key])
        return fields


def _scaled(record: Any, pixels: Tensor) -> Tensor:
    """Pixels in the range that the encoder expects."""
    if record.encoder == CONV:
        return pixels / 127.5 - 1.0
    module = sys.modules[_network(record).__module__]
    return module.preprocess_input(pixels)


def _convolutions(record: Any, policy: Any) -> keras.Model:
    """Convolutions, each halved by its maxima, with group normalization; means and maxima of the last one's channels.

    Convolutions that skip every other pixel, and means alone, learned small shapes several times more slowly. To
    normalize a quarter of the values, after the maxima, takes 40 % less time and learns them in fewer epochs.
    """
    inputs = keras.Input(record.shape, dtype=policy.compute_dtype)
    x = inputs
    for filters in record.filters:
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, dtype=policy)(x)
        x = keras.layers.MaxPooling2D(2, padding="same", dtype=policy)(x)
        groups = next(each for each in range(min(_GROUPS, filters), 0, -1) if filters % each == 0)
        x = keras.layers.GroupNormalization(groups, dtype=policy)(x)
        x = keras.layers.Activation("relu", dtype=policy)(x)
    pooled = [keras.layers.GlobalAveragePooling2D(dtype=policy)(x), keras.layers.GlobalMaxPooling2D(dtype=policy)(x)]
    return keras.Model(inputs, keras.layers.Concatenate(dtype=policy)(pooled), name=f"{record.name}_convolutions")


def _application(record: Any, policy: Any) -> keras.Model:
    """A network of `keras.applications` without its top, with random weights."""
    owner = f"ImageFeature '{record.name}'"
    make = _network(record)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # its layers take no policy of their own
    try:
        body = make(include_top=False, weights=None, input_shape=record.shape, pooling="avg")
    except ValueError as error:
        rule = f"be sizes that keras.applications.{record.encoder} takes"
        raise ValueError(error_text(owner, "height, width", rule, record.shape[:2], str(error))) from error
    finally:
        keras.config.set_dtype_policy(before)
    body.trainable = record.trainable
    body.name = f"{record.name}_{record.encoder.lower()}"
    return body


def _network(record: Any) -> Any:
    known = [name for name in dir(keras.applications) if name[:1].isupper()]
    if record.encoder not in known:
        advice = f"Use 'conv' or one of {', '.join(known)}.{did_you_mean(record.encoder, known)}"
        rule = "be 'conv' or the name of a network in keras.applications"
        raise ValueError(error_text(f"ImageFeature '{record.name}'", "encoder", rule, record.encoder, advice))
    return getattr(keras.applications, record.encoder)
