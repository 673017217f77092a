"""Types of the values that layers exchange."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A TensorFlow tensor, eager or symbolic; both libraries are untyped."""

Shape: TypeAlias = tuple[Any, ...]
"""A static shape of ints; `None` is a size known only at run time, as the batch's always is."""

Tensors: TypeAlias = Mapping[str, Tensor]
"""Named tensors, as layers with several inputs take them."""

Shapes: TypeAlias = Mapping[str, Shape]
"""The shapes of `Tensors`."""
