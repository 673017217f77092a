"""The base class of public data sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tfmtl.pipelines.datasets.source import FetchError
from tfmtl.schema import Problem
from tfmtl.schema.problem_file import PROBLEM_FILE, read_problem_file


@dataclass(frozen=True)
class Dataset:
    """A public data set: where it comes from and how it becomes canonical rows.

    Args:
        name: str. As given on the command line; the problem file is `<name>.yaml` beside the adapter.
        summary: str. One line for the list.
        fetch: gets the raw files, or raises `FetchError`.
        find: picks the raw files out of a folder, or raises `FileNotFoundError`.
        to_rows: raw files -> canonical rows.
        presets: the models that `tfmtl run` trains where none are named, the first of which it exports.
        training: changes of `TrainOptions` in `tfmtl run`. Defaults to none.
        known: canonical rows -> a line about what no model can exceed, of made-up data. Defaults to `None`.
        ask: what `tfmtl run` asks the served model beside a few requests: rows, client -> lines. Defaults to `None`.
    """

    name: str
    summary: str
    fetch: Callable[[], dict[str, bytes]]
    find: Callable[[Path], dict[str, bytes]]
    to_rows: Callable[[dict[str, bytes]], pa.Table]
    presets: tuple[str, ...] = ("dtrn", "single_task", "mmoe")
    training: Mapping[str, Any] = field(default_factory=dict)
    known: Callable[[pa.Table], str] | None = None
    ask: Callable[[pa.Table, Any], list[str]] | None = None

    @property
    def problem(self) -> Problem:
        """The data set's problem file."""
        return problem_of(self.name)

    def prepare(self, output: str | Path, folder: str | Path | None = None) -> Path:
        """Writes `log.parquet` and `problem.yaml` to `output` and returns it.

        Args:
            output: str or Path. Created if needed.
            folder: str, Path or None. Where the raw files lie; fetched if `None`.

        Raises:
            FetchError: nothing reachable has the data.
        """
        output = Path(output)
        try:
            files = self.fetch() if folder is None else self.find(Path(folder))
        except FileNotFoundError as error:
            raise FetchError(f"datasets: '{self.name}' is not in folder '{folder}': {error}") from error
        rows = self.to_rows(files)
        output.mkdir(parents=True, exist_ok=True)
        partial = output / "log.parquet.partial"
        parquet.write_table(rows, partial)
        self.problem.save(output / PROBLEM_FILE)
        partial.rename(output / "log.parquet")
        return output


def problem_of(name: str) -> Problem:
    """The problem file beside the adapter of a data set, with the derived features that it implies."""
    with resources.as_file(resources.files("tfmtl.pipelines.datasets") / f"{name}.yaml") as path:
        return read_problem_file(path)


def fetch_first(name: str, *sources: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
    """The files from the first source that answers with all of them.

    Raises:
        FetchError: none did; says why for each.
    """
    failures = []
    for source in sources:
        try:
            return source()
        except (FetchError, FileNotFoundError) as error:
            failures.append(str(error))
    raise FetchError(
        f"datasets: '{name}' could not be fetched ({'; '.join(failures)}). "
        "Download it elsewhere and give its folder with --folder (make demo DATA=<folder>)."
    )
