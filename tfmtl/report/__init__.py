"""Reports on prepared data and runs, with their figures."""

from tfmtl.report.data_report import data_report
from tfmtl.report.run_figures import curves_figure

__all__ = ["curves_figure", "data_report"]
