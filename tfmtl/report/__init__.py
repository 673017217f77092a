"""HTML reports on prepared data, training runs and searches, with their figures."""

from tfmtl.schema.extras import need_extra

need_extra("report", "report", "jinja2", "matplotlib")

from tfmtl.report.data_report import data_report
from tfmtl.report.run_figures import curves_figure
from tfmtl.report.run_report import run_report
from tfmtl.report.survival_report import survival_report

__all__ = ["curves_figure", "data_report", "run_report", "survival_report"]
