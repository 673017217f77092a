"""An output folder that appears complete or not at all."""

import json
import os
import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from apache_beam.io.filesystems import FileSystems

from tfmtl.schema.shown import shown

_OWN_FILE = re.compile(
    r"manifest\.json|requests\.jsonl|(?:train|valid|test)/part-\d+-of-\d+\.tfrecord(?:\.gz)?|rejected/file-\d+\.jsonl"
    r"|transform/(?:problem\.yaml|statistics\.json|vocabularies/\w+\.txt)"
)


class OutputFolder:
    """Context manager: write below `partial`; leaving without an error puts it in the place of `path`.

    Anything left by a run that was killed is removed first. An older folder
    is moved aside for the moment of the exchange and then removed, and put
    back if the exchange was cut short.

    Args:
        path: str. A local path, or one of a file system that Beam knows.

    Raises:
        ValueError: on entering, where `path` holds anything that preprocessing does not write.

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
        foreign = self._foreign_files()
        if foreign:
            raise ValueError(
                "preprocess: `output` must be a new or empty folder or an earlier output. Received: "
                f"output='{self._path}', which holds something else that would be lost: {shown(foreign)}. "
                "Move it, or give another folder."
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

    def _foreign_files(self) -> list[str]:
        """What `path` holds besides an earlier output: everything, where the manifest says of none."""
        if self._is_local:
            path = Path(self._path)
            if path.exists() and not path.is_dir():
                return [path.name]
            files = [file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()]
        else:
            found = FileSystems.match([self._path + "/**"])[0].metadata_list
            files = [metadata.path.removeprefix(self._path + "/") for metadata in found]
        return sorted(file for file in files if "manifest.json" not in files or not _OWN_FILE.fullmatch(file))

    def _remove(self, path: str) -> None:
        if self._is_local:
            shutil.rmtree(path, ignore_errors=True)
        elif FileSystems.match([path + "/**"])[0].metadata_list:
            FileSystems.delete([path])
