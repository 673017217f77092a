"""Losses of lifetimes known in part: censored, truncated, between two times, ended by one of several causes."""

from tfmtl.losses.survival.accelerated_failure_time import aft_loss
from tfmtl.losses.survival.competing_causes import competing_causes_loss
from tfmtl.losses.survival.consistency import consistency_loss
from tfmtl.losses.survival.cox import cox_loss
from tfmtl.losses.survival.deephit import deephit_loss
from tfmtl.losses.survival.hazard import hazard_loss
from tfmtl.losses.survival.interval_censored import interval_censored_loss
from tfmtl.losses.survival.piecewise_hazard import piecewise_hazard_loss
from tfmtl.losses.survival.probability_mass import mtlr_loss, pmf_loss
from tfmtl.losses.survival.row_factors import row_factors

__all__ = [
    "aft_loss",
    "competing_causes_loss",
    "consistency_loss",
    "cox_loss",
    "deephit_loss",
    "hazard_loss",
    "interval_censored_loss",
    "mtlr_loss",
    "piecewise_hazard_loss",
    "pmf_loss",
    "row_factors",
]
