"""The output folder of a training run, with the files of an earlier run."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tfmtl.core.folder_lock import locked_folder
from tfmtl.data import PreparedData
from tfmtl.folders import TrainedRun
from tfmtl.folders.step_folders import TRAINED, check_output_folder
from tfmtl.schema import SPLITS
from tfmtl.schema.checks import error_text
from tfmtl.schema.shown import shown
from tfmtl.training.initial_weights import initial_digest
from tfmtl.training.progress import Progress
from tfmtl.training.train_options import TrainOptions
from tfmtl.training.training_error import written
from tfmtl.training.training_state import read_progress

_CURVES = ("train", "validation")  # Keras's names
_DATA = "data_digest"
_INITIAL = "initial_digest"
_NAMES = {_DATA: "the data", _INITIAL: "the run to start from"}

_FIRST_DEFAULTS = {"schedule": "constant", "id_dropout": 0.0}


class RunFolder(TrainedRun):
    """The folder of a run under way: which run it belongs to, and how a finished run replaces an old one.

    While a run is under way, its state and its best model lie in `unfinished_<digest>/`, where the digest stands for
    the options and the data: a run of other options never finds them. Model and record are of the last run that
    finished.

    Args:
        path: folder; need not exist.
        options: `TrainOptions`.
        data: `PreparedData`.

    Raises:
        ValueError: `path` holds prepared data, exported models or a model of no run; `options.init_from` is the
            same folder, no finished run, or one of another preset.
    """

    def __init__(self, path: Path, options: TrainOptions, data: PreparedData) -> None:
        check_output_folder("fit", "output", path, TRAINED)
        if options.init_from is not None and Path(options.init_from).resolve() == path.resolve():
            rule = "be another folder than `init_from`, whose model it would replace"
            raise ValueError(error_text("fit", "output", rule, str(path), "Give a new folder."))
        super().__init__(path)
        if self.model.exists() and not self.is_there and not self.all_unfinished():
            rule = f"be a new folder or that of an earlier run, but its {self.MODEL} is no run's and would be lost"
            raise ValueError(error_text("fit", "output", rule, str(path), "Give another folder, or move that file."))
        self._origin = {_DATA: data.digest, _INITIAL: initial_digest(options)}
        self._facts = _plain({**options.decisive_options(), **self._origin})
        digest = hashlib.sha256(json.dumps(self._facts, sort_keys=True).encode()).hexdigest()
        self.own = self.unfinished(digest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other runs from the folder until the block ends.

        Raises:
            ValueError: another one is writing to it.
        """
        with ExitStack() as stack:
            with suppress(OSError):  # who cannot write here needs no lock; `check_writable` says so in time
                stack.enter_context(locked_folder("fit", "output", self.path))
            yield

    def check_writable(self) -> None:
        """Raises `ValueError` unless files can be made here; makes the folder."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with written(self.path / "writable") as partial:
                partial.touch()
            (self.path / "writable").unlink()
        except Exception as error:
            reason = getattr(error.__cause__ or error, "strerror", None) or str(error)
            rule = f"be a folder that can be written to ({reason})"
            raise ValueError(error_text("fit", "output", rule, str(self.path), "Give another folder.")) from error

    # === What an earlier run left ===

    def progress(self) -> Progress | None:
        """How far this very run had come, `None` if there is no state of it that can be read."""
        try:
            return read_progress(self.own.state)
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError):
            return None

    def is_finished(self) -> bool:
        """Whether the folder holds the result of this very run."""
        return self.model.is_file() and self._differences(self._finished_facts()) == []

    def what_changed(self) -> str | None:
        """How options and data differ from those of the run that this folder is of; `None` if they do not."""
        differences = self._differences(self._unfinished_facts() or self._finished_facts())
        return ", ".join(differences) if differences else None

    def _finished_facts(self) -> dict[str, Any] | None:
        record = _read_json(self.record)
        return None if record is None else {**record.get("options", {}), **{name: record.get(name) for name in _NAMES}}

    def _unfinished_facts(self) -> dict[str, Any] | None:
        others = (run for run in self.all_unfinished() if run.path != self.own.path and run.state.exists())
        return next((_read_json(run.facts) for run in others), None)

    def _differences(self, before: Mapping[str, Any] | None) -> list[str] | None:
        if before is None:
            return None
        # A run of before there was an option had its default, or that of the time.
        before = {**_plain(TrainOptions().to_dict()), **_FIRST_DEFAULTS, **before}
        return [
            _NAMES[name] if name in _NAMES else f"{name} ({shown(before.get(name))}, now {shown(value)})"
            for name, value in self._facts.items()
            if before.get(name) != value
        ]

    # === A run's life ===

    def start_anew(self) -> None:
        """Removes what this very run left unfinished, and the curves of the one before; the rest stays for now."""
        shutil.rmtree(self.own.path, ignore_errors=True)
        self.own.path.mkdir()
        with written(self.own.facts) as partial:
            partial.write_text(json.dumps(self._facts))
        for curve in _CURVES:  # else two runs share one
            for events in (self.tensorboard / curve).glob("events.out.tfevents.*"):
                events.unlink()

    def take_over(self, other: "RunFolder") -> None:
        """Copies what this very run has in the chief's folder, so that a worker goes on from the same state."""
        for name in (self.model.name, self.record.name):
            with suppress(OSError):
                shutil.copyfile(other.path / name, self.path / name)
        with suppress(OSError):
            shutil.copytree(other.own.path, self.own.path)

    def drop_other_runs(self) -> None:
        """Removes what runs of other options left unfinished: called when this one has a state of its own."""
        for run in self.all_unfinished():
            if run.path != self.own.path:
                shutil.rmtree(run.path, ignore_errors=True)

    def finish(self, record: Mapping[str, Any]) -> None:
        """Puts the best model and the record in their places; may be cut off and called again.

        Raises:
            TrainingError: the folder cannot be written to.
        """
        for split in SPLITS:  # they are about the model that goes now
            self.evaluation(split).unlink(missing_ok=True)
        with written(self.model) as partial:
            shutil.copyfile(self.own.best, partial)
        with written(self.record) as partial:
            partial.write_text(self.record_text({**record, **self._origin}))
        self.own.state.unlink(missing_ok=True)  # first, since a state without its best model could not be gone on with
        self.drop_unfinished()

    def drop_unfinished(self) -> None:
        """Removes what this very run needed while it was unfinished."""
        shutil.rmtree(self.own.path, ignore_errors=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back: tuples are lists."""
    return dict(json.loads(json.dumps(values)))
