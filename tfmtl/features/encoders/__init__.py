"""From lists of vectors to one vector: what texts and series have in common."""

from tfmtl.features.encoders.encoders import ENCODERS, make_encoder

__all__ = ["ENCODERS", "make_encoder"]
