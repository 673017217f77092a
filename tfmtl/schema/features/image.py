"""A feature whose values are pictures: PNG or JPEG files, as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum
from tfmtl.schema.features.column_feature import ColumnFeature
from tfmtl.schema.features.feature_record import SIDES, Guess
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import JOINT

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

CONV = "conv"
STORED_AS = ("bytes", "base64", "path")
CHANNELS = (1, 3)
_GUESSED_SIZE = 64


@dataclass(frozen=True)
class ImageFeature(ColumnFeature):
    """A column with a picture a row, PNG or JPEG, which a network of convolutions turns into one field.

    Pictures are decoded and resized to `height` x `width` when the data are prepared and, by the same TensorFlow code,
    in the served model, whose requests contain the files' bytes, of any size up to `max_pixels`. A row whose picture
    cannot be decoded is rejected, and a request with such a picture refused. A missing one (null or no bytes) has a
    learned field of its own.

    Args:
        name: str. The feature's name everywhere, and its column's.
        height: int. Pixels that the model sees, downwards.
        width: int. Likewise to the right.
        channels: int. `3` for colors, `1` for gray. Defaults to `3`.
        encoder: str. `"conv"`, a small network of convolutions, or the name of a network in `keras.applications`, such
            as `"MobileNetV2"`. Defaults to `"conv"`.
        filters: tuple of int. Channels of each convolution of `"conv"`, each of which halves height and width. Defaults
            to `(16, 32, 64)`.
        weights: str or None. File with the weights of a `keras.applications` network without its top, which training
            starts from; nothing is downloaded. Defaults to `None`: random ones.
        trainable: bool. Whether such a network's weights are trained. Its batch normalization always uses the moments
            in its file. Defaults to `False`.
        stored_as: str. What the column holds: `"bytes"`, `"base64"` (text, as in CSV files) or `"path"` of a file below
            `folder`. Defaults to `"bytes"`.
        folder: str or None. Folder, of this machine or a bucket, that paths are below. Defaults to `None`.
        max_pixels: int. Height times width that a picture may have before it is resized; its header is read first, so
            that no memory is taken for a larger one. Defaults to `16777216`.
        dim: int. Width of the field, as of an embedding. Defaults to `16`.
        side: `"user"`, `"item"` or `"context"`. Defaults to `"context"`.
        column: str or None. The column of the log, where it has a name of its own. Defaults to `None`: the name.
        missing: tuple of str. Texts of this column that mean missing, beside the problem's. Defaults to none.
        dropout: float in [0, 1). Share of rows that are trained as if the picture were missing. Defaults to `0.0`.
    """

    kind: ClassVar[str] = "image"

    name: str
    height: int
    width: int
    channels: int = 3
    encoder: str = CONV
    filters: tuple[int, ...] = (16, 32, 64)
    weights: str | None = None
    trainable: bool = False
    stored_as: Annotated[str, STORED_AS] = "bytes"
    folder: str | None = None
    max_pixels: int = 1 << 24
    dim: int = 16
    side: Annotated[str, SIDES] = "context"
    column: str | None = None
    missing: tuple[str, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        owner = self.check_common_keys()
        for key in ("height", "width", "max_pixels"):
            check_minimum(owner, key, getattr(self, key), 1)
        if self.channels not in CHANNELS:
            raise ProblemError(f"{owner}: `channels` must be 1 or 3. Received: channels={self.channels}.")
        check_choice(owner, "stored_as", self.stored_as, STORED_AS)
        if (self.stored_as == "path") != (self.folder is not None):
            raise ProblemError(
                f"{owner}: `folder` must be given where `stored_as` is 'path', and only there. Received: "
                f"stored_as={self.stored_as!r}, folder={self.folder!r}."
            )
        if self.encoder == CONV:
            self._check_conv(owner)
        elif self.channels != 3:
            raise ProblemError(
                f"{owner}: `channels` must be 3 for a network of keras.applications. Received: channels=1, "
                f"encoder={self.encoder!r}. Gray pictures are given three equal channels."
            )

    def _check_conv(self, owner: str) -> None:
        if not self.filters:
            raise ProblemError(f"{owner}: `filters` must hold one number at least. Received: filters=[].")
        for each in self.filters:
            check_minimum(owner, "filters", each, 1)
        if self.weights is not None or self.trainable:
            raise ProblemError(
                f"{owner}: `weights` and `trainable` must be left out for the encoder 'conv', which is always trained "
                f"from the start. Received: weights={self.weights!r}, trainable={self.trainable!r}. Name a network of "
                "keras.applications as `encoder`."
            )

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        if not column.holds_images:
            return None
        size = {"height": _GUESSED_SIZE, "width": _GUESSED_SIZE}
        return Guess(size, f"bytes of PNG or JPEG pictures{column.missing_text}", rank=1)

    @property
    def missing_key(self) -> str:
        """Name of the tensor that is 1 where the picture is missing."""
        return f"{self.name}{JOINT}missing"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture as the model reads it: height, width, channels."""
        return self.height, self.width, self.channels

    def inputs(self) -> tuple[RequestInput, ...]:
        text = f'bytes of a PNG or JPEG picture of side `{self.side}`, `""` where missing'
        return (RequestInput(self.name, "string", (), self.side, text, is_bytes=True),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        pixels = EncodedTensor(self.name, "own", self.name, self.shape, dim=self.dim, side=self.side, is_bytes=True)
        return pixels, EncodedTensor(self.missing_key, "own", self.name, dim=self.dim, side=self.side, missing=1.0)
