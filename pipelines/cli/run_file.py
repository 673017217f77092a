"""Reading the options of a step from a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tfmtl.pipelines.cli.option_values import PlainValues
from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.read_yaml import read_yaml

_UNBROKEN = 10**6  # a line's length
_OLD_OPTIONS = {"shared": "balance_at"}  # in a run.json of an earlier version -> today's name


def read_run_file(path: Path, step: str, names: Sequence[str]) -> dict[str, Any]:
    """Option -> value as the command line gives it.

    The file is a mapping of option names, such as `batch_size: 256`, or has such a mapping under the step's name, so
    that one file serves several steps. The `run.json` that training writes is such a file as well.

    Args:
        path: YAML or JSON file.
        step: the command's name.
        names: the options that it has.

    Raises:
        ValueError: there is no such file, it is not YAML or no mapping, or holds what is no option of this step.
    """
    try:
        text = path.read_text(encoding="utf-8")
        read_yaml(text)  # refuses what is dangerous or stands twice
        found = yaml.load(text, Loader=PlainValues)  # a SafeLoader; `off` is a word here as it is in --set
    except (OSError, UnicodeDecodeError, ProblemError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{step}: `--config` must be a YAML or JSON file. Received: '{path}' ({reason}).") from error
    options = _section(found, step)
    if not isinstance(options, Mapping):
        advice = "Write one option per line, such as `epochs: 3`."
        raise ValueError(f"{step}: `--config` must hold options by their names. Received: '{path}'. {advice}")
    for name in options:
        if name not in names:
            raise ValueError(
                f"{step}: `--config` must hold options of this step. Received: '{name}' in '{path}'."
                f"{did_you_mean(str(name), names)} Options: {', '.join(names)}."
            )
    return {name: _as_text(value) for name, value in options.items() if value is not None}


def _section(found: Any, step: str) -> Any:
    """The part of a file that is about this step."""
    if not isinstance(found, Mapping):
        return found
    if isinstance(found.get(step), Mapping):
        return found[step]
    if isinstance(found.get("options"), Mapping) and "data" in found:  # training's own record
        options = {_OLD_OPTIONS.get(name, name): value for name, value in found["options"].items()}
        return {**options, "data": found["data"]}
    return found


def _as_text(value: Any) -> Any:
    """A mapping as a list of name=value; everything else as it is."""
    if not isinstance(value, Mapping):
        return value
    return [f"{name}={_plain(item)}" for name, item in value.items()]


def _plain(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=_UNBROKEN)
    return text.removesuffix("\n...\n").strip()
