"""From a data frame to a problem and to prepared data, in one process and without an engine."""

from tfmtl.frames.prepare import prepare
from tfmtl.frames.propose import propose
from tfmtl.frames.proposed_problem import ProposedProblem

__all__ = ["ProposedProblem", "prepare", "propose"]
