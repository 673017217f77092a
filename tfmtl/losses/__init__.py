"""Losses of single tasks, where a missing label (NaN) is left out, never imputed, and of the order between tasks."""

from tfmtl.losses.behavioral_expectation import behavioral_expectation
from tfmtl.losses.binary_cross_entropy import masked_binary_cross_entropy
from tfmtl.losses.squared_error import masked_squared_error

__all__ = ["behavioral_expectation", "masked_binary_cross_entropy", "masked_squared_error"]
