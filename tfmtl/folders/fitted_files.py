"""The files of a fitted transformation, which prepared data and an export both hold."""

from pathlib import Path

from tfmtl.schema.problem_file import PROBLEM_FILE

STATISTICS_FILE, TRAINING_FILE, VOCABULARIES = "statistics.json", "training.json", "vocabularies"


class FittedFiles:
    """Where the parts of a fitted transformation lie.

    Args:
        directory: str or Path. Of the problem file and the statistics.
        vocabularies: Path or None. Folder of the vocabularies. Defaults to `None`: `vocabularies/` in `directory`.

    Attributes:
        directory: Path.
        problem: Path.
        statistics: Path.
        training: Path. What only examples of the training split are written with.
        vocabularies: Path.
    """

    def __init__(self, directory: str | Path, vocabularies: Path | None = None) -> None:
        self.directory = Path(directory)
        self.problem = self.directory / PROBLEM_FILE
        self.statistics = self.directory / STATISTICS_FILE
        self.training = self.directory / TRAINING_FILE
        self.vocabularies = vocabularies or self.directory / VOCABULARIES

    def vocabulary(self, table: str) -> Path:
        """The values of a table, one a line."""
        return self.vocabularies / f"{table}.txt"

    @property
    def are_there(self) -> bool:
        """Whether there are a problem file and statistics."""
        return self.problem.is_file() and self.statistics.is_file()
