"""Options for Beam, of which Beam itself would drop the mistyped ones with a note in its log."""

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from tfmtl.core.validation import did_you_mean


def pipeline_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options from `arguments` such as `--runner=DataflowRunner`; the runner defaults to the local one.

    Raises:
        ValueError: Beam knows no such option, or the runner cannot run the job.
    """
    check_options(arguments)
    options = PipelineOptions(list(arguments))
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        standard.runner = "FnApiRunner"  # "DirectRunner" would first try to download another one
    if standard.runner.lower().endswith("daskrunner"):
        raise ValueError(
            "preprocess: runner must not be DaskRunner: of several outputs it computes only the last and says nothing. "
            f"Received: runner={standard.runner!r}. Use FnApiRunner, DataflowRunner, FlinkRunner or SparkRunner."
        )
    return options


def check_options(arguments: Sequence[str], others: Sequence[str] = ()) -> None:
    """Raises `ValueError` at the first option that Beam does not know.

    Args:
        arguments: as on a command line.
        others: further options that the user may have meant, such as `--seed`.
    """
    parsers: list[argparse.ArgumentParser] = []
    known = PipelineOptions([]).get_all_options(add_extra_args_fn=parsers.append)
    unknown = [option for option in parsers[0].parse_known_args(list(arguments))[1] if option.startswith("-")]
    if unknown:
        name = unknown[0].partition("=")[0]
        near = did_you_mean(name, [*others, *(f"--{option}" for option in known)])
        raise ValueError(
            f"preprocess: option '{name}' is none of tfmtl's and none of Beam's.{near} "
            "See `tfmtl preprocess --help`; Beam's options are written --name=value."
        )
