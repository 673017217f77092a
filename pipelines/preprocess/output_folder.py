"""An output folder that appears complete or not at all."""

import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from apache_beam.io.filesystems import FileSystems

_MANIFEST = "manifest.json"


class OutputFolder:
    """Context manager: write below `partial`; leaving without an error puts it in the place of `path`.

    Anything left by a run that was killed is removed first. An older folder
    is moved aside for the moment of the exchange and then removed, and put
    back if the exchange was cut short.

    Args:
        path: str. A local path, or one of a file system that Beam knows.

    Raises:
        ValueError: on entering, where `path` holds anything but an earlier output.

    Attributes:
        partial: str. Where to write.
    """

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")
        self._is_local = "://" not in path
        self.partial = self._path + ".partial"
        self._previous = self._path + ".previous"

    def __enter__(self) -> "OutputFolder":
        if self._is_local and os.path.isdir(self._previous) and not os.path.exists(self._path):
            os.rename(self._previous, self._path)
        if not self._is_replaceable():
            raise ValueError(
                "preprocess: `output` must be a new or empty folder or an earlier output. Received: "
                f"output='{self._path}', which holds something else and would be lost. Give another folder."
            )
        self._remove(self.partial)
        self._remove(self._previous)
        if self._is_local:
            Path(self.partial).mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._remove(self.partial)
            return
        if self._is_local:
            if os.path.exists(self._path):
                os.rename(self._path, self._previous)
            os.rename(self.partial, self._path)
        else:
            self._remove(self._path)
            FileSystems.rename([self.partial], [self._path])
        self._remove(self._previous)

    def read_json(self, name: str) -> Any:
        """A JSON file of the folder being written."""
        with FileSystems.open(FileSystems.join(self.partial, name)) as stream:
            return json.loads(stream.read())

    def _is_replaceable(self) -> bool:
        if not self._is_local:
            is_output = FileSystems.exists(FileSystems.join(self._path, _MANIFEST))
            return is_output or not FileSystems.match([self._path + "/**"])[0].metadata_list
        path = Path(self._path)
        if not path.is_dir():
            return not path.exists()
        return (path / _MANIFEST).is_file() or not any(path.iterdir())

    def _remove(self, path: str) -> None:
        if self._is_local:
            shutil.rmtree(path, ignore_errors=True)
        elif FileSystems.match([path + "/**"])[0].metadata_list:
            FileSystems.delete([path])
