"""The job of this package."""

from measured import measured, task

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

start_tensorflow()
import tfmtl.pipelines.preprocess.beam.pipeline  # noqa: E402, F401  so that its import is not measured
from benchmarks.preprocess.click_log import PROBLEM  # noqa: E402
from tfmtl.pipelines.preprocess.job import preprocess  # noqa: E402

given = task()
options = {"workers": given["workers"], "beam_options": given["options"]}
measured(lambda: preprocess(PROBLEM, given["files"], given["output"], **options)["rows_written"])
