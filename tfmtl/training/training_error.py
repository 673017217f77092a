"""The error of a training run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfmtl.core.whole_file import whole_file


class TrainingError(RuntimeError):
    """A training run cannot continue; the text names the place and the reason."""


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """`whole_file` whose failure, such as a full disk, is a `TrainingError` that says what to do."""
    try:
        with whole_file(path) as partial:
            yield partial
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise TrainingError(
            f"fit: cannot write '{path}': {reason}. Files written before are complete: free some space, then run "
            "the same command to resume."
        ) from error
