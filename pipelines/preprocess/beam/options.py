"""Options for Beam, of which Beam itself would drop the mistyped ones with a note in its log."""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions, TestOptions

from tfmtl.schema.checks import did_you_mean


def pipeline_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options from `arguments` such as `--runner=DataflowRunner`; the runner defaults to the local one.

    File access follows them from here on, so that input can be looked at before there is a pipeline.

    Raises:
        ImportError: the runner is Dataflow, and its libraries are not installed.
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
    if is_dataflow(options):
        _check_dataflow(options)
    FileSystems.set_options(options)
    return options


def is_dataflow(options: PipelineOptions) -> bool:
    """Whether the runner is Google's Dataflow."""
    return bool(options.view_as(StandardOptions).runner.lower().endswith("dataflowrunner"))


def only_translates(arguments: Sequence[str]) -> bool:
    """Whether the options ask for a dry run or a template, so that nothing will run now."""
    options = PipelineOptions(list(arguments))
    return bool(options.view_as(TestOptions).dry_run or options.view_as(GoogleCloudOptions).template_location)


def new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """An empty pipeline.

    Raises:
        ValueError: the options do not fit together; the text has all that Beam says about it.
    """
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        _, *faults = str(error).splitlines()
        if not faults:
            raise
        raise ValueError(f"preprocess: Beam refuses its options. {' '.join(faults)}") from error


def split_options(items: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files and Beam's options from what stood between them: `--name=value`, `--name value` or a bare `--name`.

    A bare option that wants true or false, such as `--dry_run`, is true.
    """
    takes = _parser()._option_string_actions
    files: list[str] = []
    options: list[str] = []
    rest = list(items)
    while rest:
        item = rest.pop(0)
        if not item.startswith("-"):
            files.append(item)
            continue
        action = takes.get(item)
        if action is not None and action.nargs != 0:  # it wants a value
            if isinstance(action.default, bool) and (not rest or rest[0].lower() not in ("true", "false")):
                item = f"{item}=True"
            elif rest and not rest[0].startswith("-"):
                item = f"{item}={rest.pop(0)}"
        options.append(item)
    return files, options


def _parser() -> argparse.ArgumentParser:
    """Beam's own; it raises its errors, and does not end the process with all of its options' names."""
    parsers: list[argparse.ArgumentParser] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=parsers.append)
    parsers[0].exit_on_error = False
    return parsers[0]


def check_options(arguments: Sequence[str], others: Sequence[str] = ()) -> None:
    """Raises `ValueError` at the first option that Beam does not know or whose value it does not take.

    Args:
        arguments: as on a command line.
        others: further options that the user may have meant, such as `--seed`.
    """
    known = PipelineOptions([]).get_all_options()
    try:
        _, rest = _parser().parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise ValueError(
            f"preprocess: Beam refuses its options: {error}. Received: {' '.join(arguments)}. "
            "Beam's options are written --name=value."
        ) from error
    unknown = [option for option in rest if option.startswith("-")]
    if unknown:
        name = unknown[0].partition("=")[0]
        near = did_you_mean(name, [*others, *(f"--{option}" for option in known)])
        raise ValueError(
            f"preprocess: option '{name}' is neither an option of tfmtl nor of Beam.{near} "
            "See `tfmtl preprocess --help`; Beam's options are written --name=value."
        )


def _check_dataflow(options: PipelineOptions) -> None:
    if find_spec("google") is None or find_spec("google.cloud") is None or not find_spec("google.cloud.storage"):
        raise ImportError(
            "preprocess: DataflowRunner needs Google's libraries. Install them: pip install 'tfmtl[gcp]'."
        )
    google = options.view_as(GoogleCloudOptions)
    for name in ("temp_location", "staging_location"):
        path = getattr(google, name)
        if not (path or "gs://").startswith("gs://") or (path is None and name == "temp_location"):
            # Beam would make a bucket of its own accord.
            raise ValueError(
                f"preprocess: `--{name}` must be a folder at gs:// for DataflowRunner. "
                f"Received: {name}={path!r}. Give one, as in --{name}=gs://bucket/tmp."
            )
