"""The folder of a training run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfmtl.folders.folder_format import check_format, format_facts

_UNFINISHED = "unfinished_"


class UnfinishedRun:
    """What a run needs while it is under way.

    Args:
        path: Path. The folder; need not exist.

    Attributes:
        path: Path.
        state: Path. All that the run goes on from.
        best: Path. The model of its best epoch so far.
        facts: Path. Its options and data.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state.zip"
        self.best = path / "best.keras"
        self.facts = path / "facts.json"


class TrainedRun:
    """What lies where in the output of `tfmtl train`.

    Args:
        path: str or Path. The folder; need not exist.

    Attributes:
        path: Path.
        model: Path. The best epoch's model.
        record: Path. Options, history, versions: written last.
        history: Path. The metrics of every epoch.
        tensorboard: Path. A folder.
        conflicts: Path. What a monitor of conflicts wrote.
    """

    FORMAT = 1
    MODEL, RECORD = "model.keras", "run.json"
    _DIGITS = 12

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.model = self.path / self.MODEL
        self.record = self.path / self.RECORD
        self.history = self.path / "history.csv"
        self.tensorboard = self.path / "tensorboard"
        self.conflicts = self.path / "conflict.jsonl"

    def evaluation(self, split: str) -> Path:
        """The metrics on a split."""
        return self.path / f"evaluation_{split}.json"

    def reliability(self, split: str) -> Path:
        """The picture of predicted and observed rates on a split."""
        return self.path / f"reliability_{split}.png"

    def unfinished(self, digest: str) -> UnfinishedRun:
        """Of the run whose options and data have this digest, in hexadecimal digits."""
        return UnfinishedRun(self.path / f"{_UNFINISHED}{digest[: self._DIGITS]}")

    def all_unfinished(self) -> list[UnfinishedRun]:
        """Those that are there; no other folder is taken for one."""
        return [UnfinishedRun(path) for path in self.path.glob(_UNFINISHED + "[0-9a-f]" * self._DIGITS)]

    @property
    def is_there(self) -> bool:
        """Whether a run has finished here."""
        return self.record.is_file()

    def read_record(self, owner: str) -> dict[str, Any]:
        """What the run says of itself.

        Args:
            owner: str. Who asks, named first in errors.

        Raises:
            FileNotFoundError: no run has finished here.
            FolderError: a later version of the package wrote it.
        """
        if not self.is_there:
            raise FileNotFoundError(
                f"{owner}: no {self.RECORD} in '{self.path}'. Give the output folder of `tfmtl train`."
            )
        record = dict(json.loads(self.record.read_text()))
        check_format(owner, self.path, record, self.FORMAT)
        return record

    def record_text(self, facts: Mapping[str, Any]) -> str:
        """What `record` holds, with the format and who wrote it."""
        return json.dumps({**format_facts(self.FORMAT), **facts}, indent=1) + "\n"
