"""The encoders by their names in the problem file."""

from typing import Any

from tfmtl.features.encoders.convolution import ConvolutionEncoder
from tfmtl.features.encoders.encoder import Encoder
from tfmtl.features.encoders.flat import FlatEncoder
from tfmtl.features.encoders.gru import GruEncoder
from tfmtl.features.encoders.mean import MeanEncoder
from tfmtl.features.encoders.transformer import TransformerEncoder

ENCODERS: dict[str, type[Encoder]] = {
    "mean": MeanEncoder,
    "convolution": ConvolutionEncoder,
    "gru": GruEncoder,
    "transformer": TransformerEncoder,
    "flat": FlatEncoder,
}


def make_encoder(kind: str, dim: int, length: int, width: int, policy: Any, name: str) -> Encoder:
    """A built encoder of lists `(b, length, width)`.

    Args:
        kind: str. A name in `ENCODERS`.
        dim: int. Width of its output.
        length: int. L.
        width: int. W.
        policy: the dtype policy.
        name: str.
    """
    encoder = ENCODERS[kind](dim, dtype=policy, name=name)
    encoder.build((None, length, width))
    return encoder
