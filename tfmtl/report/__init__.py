"""HTML reports on prepared data, training runs and searches, with their figures."""

from tfmtl.report.data_report import data_report
from tfmtl.report.run_report import run_report

__all__ = ["data_report", "run_report"]
