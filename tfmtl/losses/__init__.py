"""Losses of single tasks, where a missing label (NaN) is left out, never imputed, and of the order between tasks."""

from tfmtl.losses.behavioral_expectation import behavioral_expectation
from tfmtl.losses.binary_cross_entropy import masked_binary_cross_entropy
from tfmtl.losses.cumulative_logit_loss import masked_cumulative_logit_loss
from tfmtl.losses.inverse_propensity import inverse_propensity_loss
from tfmtl.losses.pinball_loss import masked_pinball_loss
from tfmtl.losses.softmax_cross_entropy import masked_softmax_cross_entropy
from tfmtl.losses.squared_error import masked_squared_error
from tfmtl.losses.zero_inflated_lognormal import masked_zero_inflated_lognormal

__all__ = [
    "behavioral_expectation",
    "inverse_propensity_loss",
    "masked_binary_cross_entropy",
    "masked_cumulative_logit_loss",
    "masked_pinball_loss",
    "masked_softmax_cross_entropy",
    "masked_squared_error",
    "masked_zero_inflated_lognormal",
]
