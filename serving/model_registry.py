"""Which versions of a model are on disk, which are loaded, and what became of the others."""

import logging
import os
import re
from pathlib import Path

import tensorflow as tf

from serving.served_model import ServedModel
from serving.serving_error import STATUS_CODES, ServingError, quote
from serving.version_status import VersionStatus
from serving.warmup import warm_up

logger = logging.getLogger(__name__)

_Fingerprint = frozenset[tuple[str, int, int, int]]
_OS_ERRORS = {PermissionError: "PERMISSION_DENIED", FileNotFoundError: "NOT_FOUND", OSError: "FAILED_PRECONDITION"}


class ModelRegistry:
    """Keeps the newest versions of one model loaded.

    `refresh` follows the disk and is called by one thread only; `get` and `statuses` may be called by any
    thread at any time, since both read mappings that are replaced as a whole and never changed.

    Args:
        base_dir: Path. Holds one directory a version, named by its number.
        model_name: str. The name clients ask for.
        num_versions: int. How many of the newest versions to serve, as TF Serving's version policy `latest`.
            Defaults to `1`.
    """

    def __init__(self, base_dir: Path, model_name: str, num_versions: int = 1) -> None:
        self._base_dir = base_dir
        self._model_name = model_name
        self._num_versions = num_versions
        self._models: dict[int, ServedModel] = {}
        self._statuses: dict[int, VersionStatus] = {}
        self._broken: dict[int, _Fingerprint] = {}

    def refresh(self) -> None:
        """Loads what is new on disk, then unloads what is no longer to be served.

        In that order, so that the previous version answers until the next one is ready. A version that cannot
        be loaded is logged, reported by `statuses`, passed over in favour of an older one, and tried again
        once its files change.

        Raises:
            OSError: if the base directory cannot be read; what is loaded stays loaded.
        """
        on_disk = find_versions(self._base_dir)
        self._broken = {version: files for version, files in self._broken.items() if version in on_disk}
        serving: set[int] = set()
        for version, directory in on_disk.items():
            if len(serving) == self._num_versions:
                break
            if version in self._models or self._load(version, directory):
                serving.add(version)
        for version in set(self._models) - serving:
            self._unload(version)

    def get(self, model_name: str, version: int | None = None) -> ServedModel:
        """Returns a loaded version, the newest by default.

        Raises:
            ServingError: `NOT_FOUND` for another model's name or a version that is not loaded.
        """
        self._check_name(model_name)
        models = self._models
        if version is None and models:
            return models[max(models)]
        if version not in models:
            wanted = "any version" if version is None else f"version {version}"
            raise ServingError(
                "NOT_FOUND",
                f"Servable not found for request: {wanted} of model {model_name!r}. "
                f"Available versions: {sorted(models)}.",
            )
        return models[version]

    def statuses(self, model_name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the state of every version seen since the start, newest first, or of the given one.

        Raises:
            ServingError: `NOT_FOUND` for another model's name or a version never seen.
        """
        self._check_name(model_name)
        statuses = self._statuses
        if version is None:
            return [statuses[number] for number in sorted(statuses, reverse=True)]
        if version not in statuses:
            raise ServingError(
                "NOT_FOUND",
                f"Could not find version {version} of model {model_name!r}. Known versions: {sorted(statuses)}.",
            )
        return [statuses[version]]

    def _check_name(self, model_name: str) -> None:
        if model_name != self._model_name:
            raise ServingError(
                "NOT_FOUND",
                f"Servable not found for request: model {quote(model_name)}. Served model: {self._model_name!r}.",
            )

    def _load(self, version: int, directory: Path) -> bool:
        files = _fingerprint(directory)
        if self._broken.get(version) == files:
            return False
        self._report(VersionStatus(version, "LOADING"))
        try:
            model = ServedModel(directory, version)
            num_requests = warm_up(model, directory)
        # An export can be broken in as many ways as there are exception types; none may end the server.
        except Exception as error:
            message = f"{type(error).__name__}: {error} (while loading {directory})"
            self._broken = {**self._broken, version: files}
            self._report(VersionStatus(version, "END", _status_code(error), message))
            logger.error("Version %d of model %r failed to load. %s", version, self._model_name, message)
            return False
        self._models = {**self._models, version: model}
        self._report(VersionStatus(version, "AVAILABLE"))
        logger.info(
            "Version %d of model %r is available (%d warm-up requests).", version, self._model_name, num_requests
        )
        return True

    def _unload(self, version: int) -> None:
        # Calls under way hold the model themselves, and it is freed when the last of them returns.
        self._models = {number: model for number, model in self._models.items() if number != version}
        self._report(VersionStatus(version, "END"))
        logger.info("Version %d of model %r is unloaded.", version, self._model_name)

    def _report(self, status: VersionStatus) -> None:
        self._statuses = {**self._statuses, status.version: status}


def find_versions(base_dir: Path) -> dict[int, Path]:
    """Returns the version directories under `base_dir`, newest first; other names are not versions.

    Raises:
        OSError: if `base_dir` cannot be listed.
    """
    found = {
        int(path.name): path for path in base_dir.iterdir() if re.fullmatch(r"[0-9]{1,18}", path.name) and path.is_dir()
    }
    return dict(sorted(found.items(), reverse=True))


def _fingerprint(directory: Path) -> _Fingerprint:
    """Returns what changes when somebody repairs, or is still copying, an export."""
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
