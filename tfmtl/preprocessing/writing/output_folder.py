"""An output folder that is written atomically."""

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tfmtl.core.folder_lock import locked_folder
from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing.reading import files
from tfmtl.schema.checks import error_text
from tfmtl.schema.shown import shown

_MANIFEST = PreparedFolder.MANIFEST
_LOCK, _PARTIAL, _PREVIOUS, _OWNER = "lock", "partial", "previous", "owner"


def scratch(directory: str) -> str:
    """The folder below an output that is being written, for what is only needed until then."""
    return f"{directory}/{PreparedFolder.SCRATCH}"


class OutputFolder:
    """Context manager: write below `partial`; without an error it replaces `path` at the end.

    What lies in its folder `scratch` is left out. All that is written meanwhile lies in a folder of its own beside
    `path`, `.<name>.tfmtl`, which is locked: another job for the same `path` stops at once, and what a killed one left
    there is removed. An older output is moved into it for the moment of the exchange and then removed, and put back
    if the exchange was cut short. A `path` that is a link stays one: the folder that it leads to is exchanged.

    An object store has no folders, so there is no exchange at one moment: the
    old manifest leaves first and the new one comes last, so what has a
    manifest is complete. An exchange that was cut short is done again by the
    next run, for which `partial` keeps its manifest as long as it is needed.
    Nor has it locks: of two jobs at once the one that began first stops with
    an error before the exchange. There the folder beside is `<path>.tfmtl`.

    Args:
        path: str. A local path, or one of a file system that Beam knows.

    Raises:
        ValueError: on entering, where `path` holds anything that preprocessing does not write, cannot be exchanged, or
            is being written by another job; on leaving, where something was put into it meanwhile.

    Attributes:
        partial: str. Where to write; the manifest comes last.
    """

    def __init__(self, path: str) -> None:
        self._is_local = "://" not in path
        self._path = os.path.realpath(path) if self._is_local else path.rstrip("/")
        folder, name = os.path.split(self._path)
        self._beside = os.path.join(folder, f".{name}.tfmtl") if self._is_local else self._path + ".tfmtl"
        self._run = uuid.uuid4().hex
        self.partial = f"{self._beside}/{_PARTIAL if self._is_local else self._run}"
        self._previous = f"{self._beside}/{_PREVIOUS}"

    def __enter__(self) -> "OutputFolder":
        self._locked = ExitStack()
        if self._is_local:
            self._check_exchangeable()
            lock = Path(self._beside, _LOCK)
            self._locked.enter_context(locked_folder("preprocess", "output", Path(self._path), lock))
        try:
            self.prepare()
        except BaseException:
            self._locked.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._locked:
            if kind is None:
                self.put_in_place()
            else:
                self._remove(self.partial)
                if not self._is_local and self._owner() == self._run:
                    self._remove(self._beside)
        if self._is_local:
            with suppress(OSError):  # another job has it by now
                os.rmdir(self._beside)

    def prepare(self) -> None:
        """Makes `partial` empty, once it is sure that nothing but an earlier output will be replaced."""
        if self._is_local:
            self._check_exchangeable()
            if os.path.isdir(self._previous) and not os.path.exists(self._path):
                os.rename(self._previous, self._path)
        else:
            for manifest in files.match([f"{self._beside}/*/{_MANIFEST}"]):
                self._exchange_objects(manifest.removesuffix("/" + _MANIFEST))
        self._check_foreign()
        if self._is_local:
            self._remove(self.partial)
            self._remove(self._previous)
            Path(self.partial).mkdir(parents=True)
        else:
            self._remove(self._beside)
            with files.create(f"{self._beside}/{_OWNER}") as stream:
                stream.write(self._run.encode())

    def put_in_place(self) -> None:
        """Replaces `path` by `partial`."""
        self._check_foreign()
        self._remove(scratch(self.partial))
        if self._is_local:
            if os.path.exists(self._path):
                os.rename(self._path, self._previous)
            os.rename(self.partial, self._path)
            self._remove(self._previous)
            with suppress(OSError):  # a lock's file goes later
                os.rmdir(self._beside)
            return
        if self._owner() != self._run:
            raise ValueError(
                f"preprocess: `output` must be written by one job at a time. Received: output='{self._path}', where "
                "another has begun meanwhile. Nothing was replaced; that one goes on."
            )
        self._exchange_objects(self.partial)
        self._remove(self._beside)

    def read_manifest(self) -> dict[str, Any]:
        """What was counted of the folder being written."""
        with files.open_file(files.join(self.partial, _MANIFEST)) as stream:
            return dict(json.loads(stream.read()))

    # === Checks ===

    def _check_exchangeable(self) -> None:
        """Raises unless `path` can be exchanged by renaming and what lies beside it is of this job's kind."""
        here = os.getcwd()
        rule = None
        if os.path.ismount(self._path):
            rule = "be a folder inside a mounted one, since a mount point cannot be exchanged"
        elif os.path.commonpath([self._path, here]) == self._path:
            rule = "not be the folder that the command runs in, which is exchanged as a whole"
        if rule is not None:
            advice = f"Give a folder below it, such as '{os.path.join(self._path, 'data')}'."
            raise ValueError(error_text("preprocess", "output", rule, self._path, advice))
        own = {_LOCK, _PARTIAL, _PREVIOUS}
        beside = set(os.listdir(self._beside)) if os.path.isdir(self._beside) else set()
        if not beside <= own or (os.path.lexists(self._beside) and not os.path.isdir(self._beside)):
            rule = f"have no '{self._beside}' beside it, which is not preprocessing's own"
            raise ValueError(error_text("preprocess", "output", rule, self._path, "Move that, or give another folder."))

    def _check_foreign(self) -> None:
        """Raises where `path` holds anything that preprocessing does not write."""
        foreign = self._foreign_files()
        if foreign:
            raise ValueError(
                "preprocess: `output` must be a new or empty folder or an earlier output. Received: "
                f"output='{self._path}', which holds something else that would be lost: {shown(foreign)}. "
                "Move it, or give another folder."
            )

    def _foreign_files(self) -> list[str]:
        """What `path` holds besides an earlier output: everything, where the manifest says of none."""
        if self._is_local:
            path = Path(self._path)
            if path.exists() and not path.is_dir():
                return [path.name]
            found = [
                file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_symlink() or not file.is_dir()
            ]
        else:
            found = [path.removeprefix(self._path + "/") for path in self._listed(self._path)]
        return sorted(file for file in found if _MANIFEST not in found or not PreparedFolder.owns(file))

    # === Object stores ===

    def _exchange_objects(self, written_below: str) -> None:
        """Replaces the output by the new files; if it is interrupted, it can be repeated."""
        own = [path for path in self._listed(self._path) if PreparedFolder.owns(path.removeprefix(self._path + "/"))]
        written = self._listed(written_below)
        self._delete(own)
        for part in reversed(_manifest_apart(written)):
            files.copy(part, [self._path + path.removeprefix(written_below) for path in part])
        self._delete(written)

    def _owner(self) -> str:
        owner = f"{self._beside}/{_OWNER}"
        if not files.match([owner]):
            return ""
        with files.open_file(owner) as stream:
            return str(stream.read().decode())

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
