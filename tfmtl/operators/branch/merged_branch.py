"""Join several branches."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.schema.checks import check_one_of, error_text

MERGES = ("product", "concatenate")


@keras.saving.register_keras_serializable(package="tfmtl")
class MergedBranch(keras.layers.Layer):
    """Reads the inputs with several branches and joins what they put out, by product or side by side.

    Shapes: B batch, H width of each branch.

    Args:
        branches: Sequence of layers, at least two; each named inputs -> `(B, H)`.
        merge: str. `"product"`, entry by entry, or `"concatenate"`. Defaults to `"product"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict name -> float `(B, ...)`.

    Returns:
        float `(B, H)`, or `(B, sum of the widths)` for `"concatenate"`.

    Raises:
        ValueError: If there are fewer than two branches, `merge` is unknown, or at build if widths to be multiplied
            differ.

    Example:

    >>> import keras
    >>> from tfmtl.operators import MergedBranch, MLPBranch
    >>> branch = MergedBranch([MLPBranch(["initial"], (16,)), MLPBranch(["rate"], (16,))])
    >>> branch({"initial": keras.ops.ones((3, 64)), "rate": keras.ops.ones((3, 1))}).shape
    TensorShape([3, 16])

    Reference:
        Jin, Meng and Lu 2022 (MIONet), https://arxiv.org/abs/2202.06137, eq. 2.15: the product.
    """

    def __init__(self, branches: Sequence[keras.layers.Layer], merge: str = "product", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(branches) < 2:
            advice = "Give a single branch to the network as it is."
            raise ValueError(error_text(type(self).__name__, "branches", "be two or more", len(branches), advice))
        check_one_of(type(self).__name__, "merge", merge, MERGES)
        self.branches = list(branches)
        self.merge = merge

    def build(self, input_shape: Shapes) -> None:
        for branch in self.branches:
            if not branch.built:  # a deserialized layer has already built itself
                branch.build(input_shape)
        widths = self._widths(input_shape)
        if self.merge == "product" and len(set(widths)) > 1:
            advice = "Give all branches the same last width, or concatenate."
            raise ValueError(error_text(type(self).__name__, "branches", "have one width", widths, advice))

    def _widths(self, input_shape: Shapes) -> list[int]:
        return [branch.compute_output_shape(input_shape)[-1] for branch in self.branches]

    def call(self, inputs: Tensors) -> Tensor:
        parts = [branch(inputs) for branch in self.branches]
        if self.merge == "concatenate":
            return ops.concatenate(parts, axis=-1)
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        return product

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        widths = self._widths(input_shape)
        batch = next(iter(input_shape.values()))[0]
        return (batch, widths[0] if self.merge == "product" else sum(widths))

    def get_config(self) -> dict[str, Any]:
        branches = [keras.saving.serialize_keras_object(branch) for branch in self.branches]
        return {**super().get_config(), "branches": branches, "merge": self.merge}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MergedBranch":
        branches = [keras.saving.deserialize_keras_object(branch) for branch in config.pop("branches")]
        return cls(branches, **config)
