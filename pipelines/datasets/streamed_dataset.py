"""A public data set that is larger than memory."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from tfmtl.pipelines.datasets.dataset import problem_of
from tfmtl.pipelines.datasets.source import FetchError
from tfmtl.schema import Problem
from tfmtl.schema.problem_file import PROBLEM_FILE

ROWS_PER_FILE = 2_000_000  # several files, so that preprocessing reads them in parallel


@dataclass(frozen=True)
class StreamedDataset:
    """What `Dataset` is for data in memory, with rows that flow from the user's files batch by batch.

    Args:
        name: str. As given on the command line; the problem file is `<name>.yaml` beside the adapter.
        summary: str. One line for the list.
        where: str. Where the data can be had.
        patterns: names of the files, `*` allowed; each may be gzipped. Without a `*` exactly one file must have it.
        to_batches: `(pattern -> files, scratch folder)` to batches of canonical rows, all of one schema.
    """

    name: str
    summary: str
    where: str
    patterns: Sequence[str]
    to_batches: Callable[[Mapping[str, Sequence[Path]], Path], Iterator[pa.RecordBatch]]

    @property
    def problem(self) -> Problem:
        """The data set's problem file."""
        return problem_of(self.name)

    def prepare(self, output: str | Path, folder: str | Path | None = None) -> Path:
        """Writes `log-00000.parquet`, ... and then `problem.yaml` to `output` and returns it.

        Args:
            output: str or Path. Created if needed; has to hold the rows once more while they are sorted.
            folder: str, Path or None. Where the raw files lie.

        Raises:
            FetchError: the files are not there.
        """
        output = Path(output)
        if folder is None:
            raise FetchError(
                f"datasets: '{self.name}' cannot be downloaded automatically. {self.where} "
                f"Put {' and '.join(self.patterns)} in a folder and give it with --folder."
            )
        files = {pattern: self._find(Path(folder), pattern) for pattern in self.patterns}
        output.mkdir(parents=True, exist_ok=True)
        (output / PROBLEM_FILE).unlink(missing_ok=True)  # until it is there again the folder is not complete
        for old in output.glob("log-*.parquet"):
            old.unlink()
        with tempfile.TemporaryDirectory(prefix="scratch-", dir=output) as scratch:
            _write(output, self.to_batches(files, Path(scratch)))
        self.problem.save(output / PROBLEM_FILE)
        return output

    def _find(self, folder: Path, pattern: str) -> list[Path]:
        found = sorted({path for name in (pattern, f"{pattern}.gz") for path in folder.rglob(name) if path.is_file()})
        if not found or (len(found) > 1 and "*" not in pattern):
            many = f"{len(found)} files are called {pattern}: {', '.join(map(str, found))}"
            reason = many if found else f"no {pattern} is there"
            raise FetchError(f"datasets: '{self.name}' is not in folder '{folder}': {reason}")
        return found


def _write(output: Path, batches: Iterator[pa.RecordBatch]) -> None:
    number, written = 0, 0
    writer: parquet.ParquetWriter | None = None
    try:
        for batch in batches:
            if writer is None:
                path = output / f"log-{number:05d}.parquet"
                writer = parquet.ParquetWriter(path, batch.schema, compression="zstd")
            writer.write_batch(batch)
            written += batch.num_rows
            if written >= ROWS_PER_FILE:
                writer.close()
                writer, written, number = None, 0, number + 1
    finally:
        if writer is not None:
            writer.close()
