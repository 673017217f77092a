"""The versions of a model: on disk, loaded, failed and ended."""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from tfmtl.folders.version_folders import find_versions, odd_folders
from tfmtl.serving.protocol.version_status import VersionStatus
from tfmtl.serving.server.model_config import ModelConfig
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.warmup import warm_up
from tfmtl.serving.serving_error import STATUS_CODES, ServingError, invalid_argument, quote

logger = logging.getLogger(__name__)

_Fingerprint = frozenset[tuple[str, int, int, int]]
_OS_ERRORS = {PermissionError: "PERMISSION_DENIED", FileNotFoundError: "NOT_FOUND", OSError: "FAILED_PRECONDITION"}
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 600.0  # seconds between two tries to load a version
_MOST_ENDED = 100  # versions no longer on disk whose end is still told


class _Failure(NamedTuple):
    """A version that could not be loaded: its files, the number of tries, and the time of the next try."""

    files: _Fingerprint
    tries: int
    again_at: float


class ModelRegistry:
    """Keeps the versions of one model loaded that its configuration wants.

    `refresh`, `load` and `unload` follow the disk and are called by one thread only; `get` and `statuses` may be called
    by any thread at any time, since both read mappings that are replaced as a whole and never changed.

    Args:
        config: ModelConfig. The model.
        previous: ModelRegistry or None. Of the same model and folder: what it has loaded is taken over and it stays as
            it is, so that a configuration may be tried. Defaults to None.
        clock: returns seconds. Defaults to `time.monotonic`.

    Attributes:
        num_failed: int. How many tries to load a version have failed.
    """

    def __init__(
        self,
        config: ModelConfig,
        previous: "ModelRegistry | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._models: Mapping[int, ServedModel] = previous._models if previous else {}
        # What still unloads will report to the one before.
        self._statuses: Mapping[int, VersionStatus] = {
            version: VersionStatus(version, "END") if status.state == "UNLOADING" else status
            for version, status in (previous._statuses if previous else {}).items()
        }
        self._failures: Mapping[int, _Failure] = previous._failures if previous else {}
        self._odd: frozenset[str] = previous._odd if previous else frozenset()
        self._clock = clock
        self.num_failed: int = previous.num_failed if previous else 0
        self._wanted: frozenset[int] = frozenset()
        self._reporting = threading.RLock()

    def refresh(self) -> None:
        """Loads what is new on disk, then unloads what is no longer to be served.

        In that order, so that the previous version answers until the next one is ready. A version that cannot
        be loaded is logged, reported by `statuses`, passed over in favor of an older one, and tried again: once its
        files change, and after growing pauses, for memory or descriptors may have been short for a moment.

        Raises:
            OSError: if the base directory cannot be read; what is loaded stays loaded.
        """
        self.load()
        self.unload()

    def load(self) -> None:
        """The first half of `refresh`."""
        on_disk = find_versions(self.config.base_dir)
        self._failures = {version: failure for version, failure in self._failures.items() if version in on_disk}
        self._forget_ended(on_disk)
        self._name_odd_folders()
        if self.config.versions:
            on_disk = {version: path for version, path in on_disk.items() if version in self.config.versions}
            limit = len(on_disk)
        else:
            limit = len(on_disk) if self.config.num_versions is None else self.config.num_versions
        serving: set[int] = set()
        for version, directory in on_disk.items():
            if len(serving) == limit:
                break
            if version in self._models or self._load(version, directory):
                serving.add(version)
        self._wanted = frozenset(serving)

    def unload(self) -> None:
        """The second half of `refresh`."""
        for version in set(self._models) - self._wanted:
            self._unload(version)

    def get(self, version: int | None = None, label: str = "") -> ServedModel:
        """Returns a loaded version, the newest by default.

        Raises:
            ServingError: `NOT_FOUND` for a version that is not loaded, `INVALID_ARGUMENT` for an unknown label.
        """
        models = self._models
        version = self._version(version, label)
        if version is None and models:
            return models[max(models)]
        if version is None or version not in models:
            wanted = "any version" if version is None else f"version {version}"
            raise ServingError(
                "NOT_FOUND",
                f"Servable not found for request: {wanted} of model {self.config.name!r}. "
                f"Available versions: {sorted(models)}.",
            )
        return models[version]

    def statuses(self, version: int | None = None, label: str = "") -> list[VersionStatus]:
        """Returns the state of every version seen since the start, newest first, or of the given one.

        Raises:
            ServingError: `NOT_FOUND` for a version never seen, `INVALID_ARGUMENT` as `get`.
        """
        statuses = self._statuses
        version = self._version(version, label)
        if version is None:
            return [statuses[number] for number in sorted(statuses, reverse=True)]
        if version not in statuses:
            raise ServingError(
                "NOT_FOUND",
                f"Could not find version {version} of model {self.config.name!r}. Known versions: {sorted(statuses)}.",
            )
        return [statuses[version]]

    def models(self) -> list[ServedModel]:
        """The versions that are loaded."""
        return list(self._models.values())

    def check(self) -> None:
        """Raises `ServingError` (`FAILED_PRECONDITION`) unless what the configuration names can be answered.

        That is: some version is loaded, and each one that it names by number or label.
        """
        named = {*self.config.versions, *self.config.labels.values()}
        missing = sorted(named - self._wanted)
        if missing or not self._wanted:
            failed = [status for status in self.statuses() if status.error_message]
            reasons = "; ".join(f"version {status.version}: {status.error_message}" for status in failed)
            what = f"version {missing[0]}" if missing else "no version"
            raise ServingError(
                "FAILED_PRECONDITION",
                f"LocalServer: {what} under {self.config.base_dir} can{'not' if missing else ''} be loaded. {reasons}",
            )

    def _version(self, version: int | None, label: str) -> int | None:
        if not label:
            return version
        if label not in self.config.labels:
            raise invalid_argument(
                f"Unrecognized servable version label {quote(label)} of model {self.config.name!r}. "
                f"Known labels: {sorted(self.config.labels)}."
            )
        return self.config.labels[label]

    def _load(self, version: int, directory: Path) -> bool:
        files = _fingerprint(directory)
        before = self._failures.get(version)
        if before is not None and before.files == files and self._clock() < before.again_at:
            return False
        name = self.config.name
        self._report(VersionStatus(version, "LOADING"))
        try:
            model = ServedModel(directory, version)
            model.name = name
            num_requests = warm_up(model, directory)
        # An export can be broken in as many ways as there are exception types; none may end the server.
        except Exception as error:
            message = f"{type(error).__name__}: {error} (while loading {directory})"
            self.num_failed += 1
            tries = before.tries + 1 if before is not None and before.files == files else 1
            pause = min(_FIRST_PAUSE * 2.0 ** (tries - 1), _LONGEST_PAUSE)
            self._failures = {**self._failures, version: _Failure(files, tries, self._clock() + pause)}
            self._report(VersionStatus(version, "END", _status_code(error), message))
            logger.error("Version %d of model %r failed to load. %s", version, name, message)
            return False
        self._failures = {number: failure for number, failure in self._failures.items() if number != version}
        self._models = {**self._models, version: model}
        self._report(VersionStatus(version, "AVAILABLE"))
        logger.info("Version %d of model %r is available (%d warm-up requests).", version, name, num_requests)
        return True

    def _unload(self, version: int) -> None:
        # Calls under way hold the model themselves, and it is freed when the last of them returns.
        self._report(VersionStatus(version, "UNLOADING"))
        weakref.finalize(self._models[version], self._ended, version).atexit = False
        self._models = {number: model for number, model in self._models.items() if number != version}

    def _ended(self, version: int) -> None:
        if version not in self._models:  # it may have been loaded anew in the meantime
            self._report(VersionStatus(version, "END"))
        logger.info("Version %d of model %r is unloaded.", version, self.config.name)

    def _forget_ended(self, on_disk: Mapping[int, Path]) -> None:
        """Keeps the states of few versions that are gone: a server that runs for years sees thousands."""
        with self._reporting:
            gone = [
                version
                for version, status in self._statuses.items()
                if status.state == "END" and version not in on_disk and version not in self._models
            ]
            forgotten = set(sorted(gone, reverse=True)[_MOST_ENDED:])
            if forgotten:
                self._statuses = {key: status for key, status in self._statuses.items() if key not in forgotten}

    def _name_odd_folders(self) -> None:
        """Logs once for each folder that its name looks like a version but is not one."""
        odd = frozenset(odd_folders(self.config.base_dir))
        for name in sorted(odd - self._odd):
            logger.warning(
                "'%s' is no version of model %r: a version's folder is named by a whole number.",
                self.config.base_dir / name,
                self.config.name,
            )
        self._odd = odd

    def _report(self, status: VersionStatus) -> None:
        with self._reporting:  # requests end in threads of their own
            self._statuses = {**self._statuses, status.version: status}


def _fingerprint(directory: Path) -> _Fingerprint:
    """Returns a value that changes when an export is repaired or still being copied."""
    found = []
    for folder, _, names in os.walk(directory):  # passes over folders it cannot read
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            try:
                stat = os.stat(path)
                # The last of them changes when the rights to a file do.
                found.append((path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
            except OSError as error:  # just removed, a link to nowhere or to itself
                found.append((path, -1, error.errno or 0, 0))
    return frozenset(found)


def _status_code(error: Exception) -> str:
    if isinstance(error, ServingError):
        return error.code
    if isinstance(error, tf.errors.OpError):
        return STATUS_CODES[error.error_code]
    return next((code for kind, code in _OS_ERRORS.items() if isinstance(error, kind)), "UNKNOWN")
