"""Trackers of training runs, by name."""

from tfmtl.training.trackers.by_name import TRACKERS, make_trackers
from tfmtl.training.trackers.tracker import RunFacts, Tracker

__all__ = ["TRACKERS", "RunFacts", "Tracker", "make_trackers"]
