"""Files of random pictures, and files that are none."""

import struct
import zlib

import numpy as np
import tensorflow as tf


def pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth random pixels, uint8 `(height, width, channels)`: JPEG keeps them nearly as they are."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (3, 3, channels)).astype(np.float32)
    return tf.cast(tf.round(tf.image.resize(coarse, (height, width))), tf.uint8).numpy()


def png(height: int, width: int, channels: int = 3, seed: int = 0) -> bytes:
    """A PNG file."""
    return bytes(tf.io.encode_png(pixels(height, width, channels, seed)).numpy())


def jpeg(height: int, width: int, channels: int = 3, seed: int = 0) -> bytes:
    """A JPEG file."""
    return bytes(tf.io.encode_jpeg(pixels(height, width, channels, seed), quality=95).numpy())


def png_bomb(height: int, width: int) -> bytes:
    """A small PNG file of a gray picture of one color, which unpacks to `height * width` bytes."""
    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BROKEN = {
    "no picture": b"hello",
    "a cut PNG": png(30, 30)[:-40],
    "a cut JPEG": jpeg(30, 30)[:-40],
    "a JPEG's first bytes": jpeg(30, 30)[:12],
    "a PNG's first bytes": png(30, 30)[:20],
    "a PNG with other data": png(30, 30)[:60] + b"\0\0\0" + png(30, 30)[63:],
    "an animation": b"GIF89a\x01\x00\x01\x00\x80\x00\x00",
    "a picture of nothing": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\0" * 21,
    "a bomb": png_bomb(20_000, 5_000),
}
"""Files that are refused, by what is wrong with them; the bomb is one for a limit below 100 million pixels."""
