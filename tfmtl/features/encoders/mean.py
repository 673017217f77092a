"""The mean of a list: its order says nothing."""

from typing import Any

from tfmtl.core.masking import masked_mean
from tfmtl.core.types import Tensor
from tfmtl.features.encoders.encoder import Encoder


class MeanEncoder(Encoder):
    """The mean of the elements, which are D wide; has no weights."""

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(inputs, mask > 0)
