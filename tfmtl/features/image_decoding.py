"""Bytes of picture files to pixels of one size, in TensorFlow operations alone."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import tensorflow as tf

from tfmtl.core.types import Tensor

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_JPEG = b"\xff\xd8\xff"
_HEADER = len(_PNG) + 8  # with a PNG's width and height, four bytes each
_AT_ONCE = 4  # pictures that are decoded at the same time, each of which may be large

FINE, NO_PICTURE, TOO_LARGE = 0, 1, 2


@lru_cache(64)
def decoder(name: str, shape: tuple[int, int, int], max_pixels: int) -> Callable[[Any], Any]:
    """A function of strings `(n,)` that returns pixels, uint8 `(n, *shape)`; of an empty string all are 0.

    It raises `InvalidArgumentError`, which names the feature, unless every string is a whole PNG or JPEG file. A
    picture's size is read from its header first: a small file may unpack to gigabytes.

    Args:
        name: str. The feature.
        shape: height, width, channels.
        max_pixels: int. The largest height times width that is decoded.
    """

    def decode(value: Tensor) -> Tensor:
        fault = header_fault(value, max_pixels)
        texts = (
            (NO_PICTURE, f"Feature '{name}' must hold a PNG or JPEG picture, or no bytes where it is missing."),
            (TOO_LARGE, f"Feature '{name}' must hold pictures of {max_pixels:,} pixels at most, and not of none."),
        )
        checks = [tf.debugging.Assert(fault != code, [text]) for code, text in texts]
        with tf.control_dependencies(checks):
            pixels = tf.io.decode_image(value, shape[2], expand_animations=False)
        # Of a picture that has the size already this changes nothing, which reading a log relies on.
        resized = tf.image.resize(pixels, shape[:2], antialias=True)
        return tf.ensure_shape(tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8), shape)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def decode_all(values: Tensor) -> Tensor:
        zeros = tf.zeros(shape, tf.uint8)

        def one(value: Tensor) -> Tensor:
            with tf.name_scope(f"image_{name}"):  # what the decoder itself raises says no more than where it stands
                return tf.cond(tf.strings.length(value) == 0, lambda: zeros, lambda: decode(value))

        return tf.map_fn(one, values, fn_output_signature=tf.TensorSpec(shape, tf.uint8), parallel_iterations=_AT_ONCE)

    found: Callable[[Any], Any] = decode_all
    return found


def header_fault(value: Tensor, max_pixels: int) -> Tensor:
    """`FINE`, `NO_PICTURE` or `TOO_LARGE`, from a file's first bytes; raises of a JPEG file whose header is broken.

    Args:
        value: scalar string.
        max_pixels: int.
    """
    filled = tf.strings.substr(value + tf.constant(b"\0" * _HEADER), 0, _HEADER)
    sizes = tf.cast(tf.io.decode_raw(tf.strings.substr(filled, len(_PNG), 8), tf.uint8), tf.int64)
    png_size = tf.tensordot(tf.reshape(sizes, (2, 4)), tf.constant([2**24, 2**16, 2**8, 1], tf.int64), 1)
    is_png = tf.strings.substr(filled, 0, len(_PNG)) == _PNG
    is_jpeg = tf.strings.substr(filled, 0, len(_JPEG)) == _JPEG
    size = tf.cond(is_jpeg, lambda: tf.image.extract_jpeg_shape(value, tf.int64)[:2], lambda: png_size)
    fits = tf.reduce_all((size > 0) & (size <= max_pixels)) & (size[0] <= max_pixels // tf.maximum(size[1], 1))
    code = tf.where(fits, FINE, TOO_LARGE)
    return tf.where(is_png | is_jpeg, code, NO_PICTURE)
