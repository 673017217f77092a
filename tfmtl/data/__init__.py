"""Batches of preprocessed records, and the transformation of raw features that serving shares."""

from tfmtl.data.prepared_data import PreparedData
from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.folders import DataError

__all__ = ["DataError", "PreparedData", "RawTransform", "TransformStatistics"]
