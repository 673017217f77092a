"""What prepared data looks like, as figures and one HTML page."""

from tfmtl.report.data_report import data_report

__all__ = ["data_report"]
