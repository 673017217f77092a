"""An output folder that appears complete or not at all."""

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tfmtl.preprocessing.reading import files
from tfmtl.schema.shown import shown

_MANIFEST = "manifest.json"
_OWN_FILE = re.compile(
    r"manifest\.json|requests\.jsonl|(?:train|valid|test)/part-\d+-of-\d+\.tfrecord(?:\.gz)?|rejected/file-\d+\.jsonl"
    r"|transform/(?:problem\.yaml|statistics\.json|vocabularies/\w+\.txt)"
)


def scratch(directory: str) -> str:
    """The folder below an output that is being written, for what is only needed until then."""
    return f"{directory}/scratch"


class OutputFolder:
    """Context manager: write below `partial`; leaving without an error puts it in the place of `path`.

    What lies in its `scratch` folder is left out. Anything left by a run that
    was killed is removed first. An older folder is moved aside for the moment
    of the exchange and then removed, and put back if the exchange was cut short.

    An object store has no folders, so there is no exchange at one moment: the
    old manifest leaves first and the new one comes last, so what has a
    manifest is complete. An exchange that was cut short is done again by the
    next run, for which `partial` keeps its manifest as long as it is needed.

    Args:
        path: str. A local path, or one of a file system that Beam knows.

    Raises:
        ValueError: on entering, where `path` holds anything that preprocessing does not write.

    Attributes:
        partial: str. Where to write; `manifest.json` comes last.
    """

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")
        self._is_local = "://" not in path
        self.partial = self._path + ".partial"
        self._previous = self._path + ".previous"

    def __enter__(self) -> "OutputFolder":
        self.prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.put_in_place()
        else:
            self._remove(self.partial)

    def prepare(self) -> None:
        """Makes `partial` empty, once it is sure that nothing but an earlier output will be replaced."""
        if self._is_local and os.path.isdir(self._previous) and not os.path.exists(self._path):
            os.rename(self._previous, self._path)
        if not self._is_local and files.match([files.join(self.partial, _MANIFEST)]):
            self.put_in_place()
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

    def put_in_place(self) -> None:
        """Gives `partial` the place of `path`."""
        self._remove(scratch(self.partial))
        if self._is_local:
            if os.path.exists(self._path):
                os.rename(self._path, self._previous)
            os.rename(self.partial, self._path)
            self._remove(self._previous)
            return
        own = [path for path in self._listed(self._path) if _OWN_FILE.fullmatch(path.removeprefix(self._path + "/"))]
        written = self._listed(self.partial)
        self._delete(own)
        for part in reversed(_manifest_apart(written)):
            files.copy(part, [self._path + path.removeprefix(self.partial) for path in part])
        self._delete(written)

    def read_json(self, name: str) -> Any:
        """A JSON file of the folder being written."""
        with files.open_file(files.join(self.partial, name)) as stream:
            return json.loads(stream.read())

    def _foreign_files(self) -> list[str]:
        """What `path` holds besides an earlier output: everything, where the manifest says of none."""
        if self._is_local:
            path = Path(self._path)
            if path.exists() and not path.is_dir():
                return [path.name]
            found = [file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()]
        else:
            found = [path.removeprefix(self._path + "/") for path in self._listed(self._path)]
        return sorted(file for file in found if _MANIFEST not in found or not _OWN_FILE.fullmatch(file))

    def _remove(self, path: str) -> None:
        if self._is_local:
            shutil.rmtree(path, ignore_errors=True)
        else:
            self._delete(self._listed(path))

    def _delete(self, paths: Sequence[str]) -> None:
        for part in _manifest_apart(paths):
            files.delete(part)

    def _listed(self, path: str) -> list[str]:
        """Every file below a folder of an object store."""
        return files.match([path + "/**"])


def _manifest_apart(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The manifest, if there, and the other files."""
    manifest = [path for path in paths if path.endswith("/" + _MANIFEST)]
    return manifest, [path for path in paths if path not in manifest]
