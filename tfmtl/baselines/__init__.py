"""Models from another library that every network should be compared with: boosted trees and linear models."""

from tfmtl.baselines.plain_report import PlainReport, plain_report

__all__ = ["PlainReport", "plain_report"]
