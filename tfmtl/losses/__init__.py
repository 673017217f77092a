"""Losses of single tasks; a missing label (NaN) is left out, never imputed."""

from tfmtl.losses.binary_cross_entropy import masked_binary_cross_entropy
from tfmtl.losses.squared_error import masked_squared_error

__all__ = ["masked_binary_cross_entropy", "masked_squared_error"]
