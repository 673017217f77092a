"""The status of one version of a model."""

from dataclasses import dataclass

# Numbers of the enum `tensorflow.serving.ModelVersionStatus.State`.
VERSION_STATES = {"UNKNOWN": 0, "START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}


@dataclass(frozen=True)
class VersionStatus:
    """State of one model version, as `ModelService.GetModelStatus` reports it.

    Args:
        version: int. The version number, the name of its directory.
        state: str. `"START"`, `"LOADING"`, `"AVAILABLE"`, `"UNLOADING"` or `"END"`; only an available
            version answers requests. A version that could not be loaded is at `"END"` with an error.
        error_code: str. Canonical status name. Defaults to `"OK"`.
        error_message: str. Why the version ended, empty if nothing went wrong. Defaults to `""`.
    """

    version: int
    state: str
    error_code: str = "OK"
    error_message: str = ""
