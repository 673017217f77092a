"""Pictures to fields: decoded, resized, and read by convolutions."""

import base64
import binascii
import posixpath
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmtl.features.decoded import Decoded, decode_given
from tfmtl.features.feature_behavior import FeatureBehavior, RawColumns
from tfmtl.features.image_decoding import FINE, NO_PICTURE, decoder, header_fault
from tfmtl.schema import View

if TYPE_CHECKING:
    from tfmtl.features.field_layer import FieldLayer

_CHUNK = 64  # pictures read at once
_MOST_FILE_BYTES = 1 << 25


class ImageBehavior(FeatureBehavior):
    """Pictures in PNG or JPEG files; see `ImageFeature`."""

    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        """The pictures as PNG files of the size that the model reads: what goes through the job stays small.

        Decoded again they are the same pixels, since PNG loses nothing and nothing is left to resize.
        """
        column = self.record.column_name
        stored = raw.binary(column).to_pylist()
        faults: dict[int, str] = {}
        files = [self._file(value, row, faults) for row, value in enumerate(stored)]
        found: list[bytes | None] = []
        for start in range(0, len(files), _CHUNK):
            found += self._resized(files[start : start + _CHUNK], start, faults)
        for reason in dict.fromkeys(faults.values()):
            rows = [row for row, fault in faults.items() if fault == reason]
            where = np.isin(np.arange(len(files)), rows)
            raw.reject(pa.array(where), f"column '{column}' {reason}")
        return {self.name: pa.array(found, pa.binary())}

    def _file(self, value: bytes | None, row: int, faults: dict[int, str]) -> bytes | None:
        """The bytes of a picture's file, from what the column holds."""
        record = self.record
        if value is None or record.stored_as == "bytes":
            return value
        try:
            if record.stored_as == "base64":
                return base64.b64decode(value, validate=True) or None
            path = value.decode()
            if posixpath.isabs(path) or ".." in path.replace("\\", "/").split("/"):
                faults[row] = "holds a path that leads out of the folder"
                return None
            with tf.io.gfile.GFile(posixpath.join(record.folder, path), "rb") as file:
                content = bytes(file.read(_MOST_FILE_BYTES + 1))
        except (binascii.Error, UnicodeDecodeError):
            faults[row] = "is not base64" if record.stored_as == "base64" else "is not a path"
            return None
        except tf.errors.OpError:
            faults[row] = "holds the path of a file that cannot be read"
            return None
        if len(content) > _MOST_FILE_BYTES:
            faults[row] = f"holds the path of a file of more than {_MOST_FILE_BYTES:,} bytes"
            return None
        return content or None

    def _resized(self, files: Sequence[bytes | None], first: int, faults: dict[int, str]) -> list[bytes | None]:
        """Pictures as PNG files; of those that cannot be decoded the fault. `first` is the first one's row."""
        given = [(row, file) for row, file in enumerate(files, first) if file is not None]
        found: dict[int, bytes] = {}
        try:
            found = dict(zip((row for row, _ in given), self._png([file for _, file in given]), strict=True))
        except tf.errors.InvalidArgumentError:  # for one of them; all the others are as good as before
            for row, file in given:
                try:
                    [found[row]] = self._png([file])
                except tf.errors.InvalidArgumentError:
                    faults[row] = self._fault(file)
        return [found.get(row) for row in range(first, first + len(files))]

    def _png(self, files: Sequence[bytes]) -> list[bytes]:
        if not files:
            return []
        return [tf.io.encode_png(pixels).numpy() for pixels in self._decode(tf.constant(files, tf.string))]

    def _fault(self, file: bytes) -> str:
        try:
            fault = int(header_fault(tf.constant(file), self.record.max_pixels))
        except tf.errors.InvalidArgumentError:
            fault = FINE
        if fault == NO_PICTURE:
            return "is not a PNG or JPEG picture"
        if fault != FINE:
            return f"holds a picture of more than {self.record.max_pixels:,} pixels, or of none"
        return "holds a picture that cannot be decoded"

    def _decode(self, files: tf.Tensor) -> tf.Tensor:
        record = self.record
        return decoder(record.name, record.shape, record.max_pixels)(files)

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        files = raw[self.name]
        pixels = self._decode(tf.reshape(files, (-1,)))
        is_missing = tf.strings.length(files) == 0
        shape = tf.concat([tf.shape(files), self.record.shape], axis=0)
        lead = files.shape if files.shape.rank is not None else ()
        return {
            self.name: tf.ensure_shape(tf.reshape(pixels, shape), (*lead, *self.record.shape)),
            self.record.missing_key: tf.cast(is_missing, tf.float32),
        }

    @classmethod
    def layer(cls, records: Sequence[Any], dim: int, policy: Any) -> "FieldLayer":
        from tfmtl.features.image_fields import ImageFields  # Keras is loaded by models alone

        return ImageFields(records, dim, dtype=policy, name="images")

    def views(self, encoded: Mapping[str, np.ndarray]) -> dict[str, View]:
        """The mean brightness of the pictures that there are, and whether there is one, as a list of one or none."""
        brightness = encoded[self.name].mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32)
        is_missing = encoded[self.record.missing_key] > 0.0
        return {
            self.name: View("numbers", np.where(is_missing, np.float32(np.nan), brightness)),
            f"{self.name} given": View("lists", (~is_missing).astype(np.int32)[:, np.newaxis]),
        }

    def decode(self, encoded: Mapping[str, np.ndarray], statistics: Any) -> dict[str, Decoded]:
        """Whether there is one."""
        return {self.name: decode_given(encoded[self.record.missing_key] == 0.0)}

    def describe(self, statistics: Any) -> dict[str, Any]:
        height, width, channels = self.record.shape
        return {"size": f"{height} x {width} pixels, {channels} channels", "values": None}
