"""Retrieval: a TFRS two-tower model finds candidates; joined with a ranking model in one SavedModel.

TFRS needs Keras 2, so it is trained in a process of its own; nothing here that a caller imports loads it.
"""

from tfmtl.retrieval.compose import compose
from tfmtl.retrieval.compose_options import ComposeOptions
from tfmtl.retrieval.fit_retrieval import RetrievalError, fit_retrieval
from tfmtl.retrieval.negative_options import NegativeOptions
from tfmtl.retrieval.ranking_negatives import ranking_negatives
from tfmtl.retrieval.retrieval_options import RetrievalOptions
from tfmtl.retrieval.training_items import training_items
from tfmtl.retrieval.two_stage_quality import two_stage_quality

__all__ = [
    "ComposeOptions",
    "NegativeOptions",
    "RetrievalError",
    "RetrievalOptions",
    "compose",
    "fit_retrieval",
    "ranking_negatives",
    "training_items",
    "two_stage_quality",
]
